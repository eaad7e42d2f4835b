"""Figures of `interp.analyses.behavior`."""
