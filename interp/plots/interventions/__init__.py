"""Figures of `interp.analyses.interventions`."""
