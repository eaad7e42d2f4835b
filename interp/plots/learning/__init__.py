"""Figures of `interp.analyses.learning`."""
