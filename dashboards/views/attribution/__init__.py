"""Pages of `interp.analyses.attribution`."""
