"""Pages of `interp.analyses.probing`."""
