"""One run on disk: its folder, its lock, its states, how it stops and how it is shipped."""
