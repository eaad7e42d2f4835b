"""Pages of `interp.analyses.lenses`."""
