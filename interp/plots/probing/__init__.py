"""Figures of `interp.analyses.probing`."""
