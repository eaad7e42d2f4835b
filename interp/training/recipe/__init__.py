"""What a run is asked to do: settings, schedules, presets, and what follows from them."""
