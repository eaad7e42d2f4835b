"""Pages of `interp.analyses.behavior`."""
