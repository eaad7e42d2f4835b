"""The parts of the page *Steering*."""
