"""Pages of `interp.analyses.interventions`."""
