"""Pages of `interp.analyses.learning`."""
