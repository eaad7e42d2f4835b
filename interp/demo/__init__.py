"""The main job, end to end: `interp demo`."""
