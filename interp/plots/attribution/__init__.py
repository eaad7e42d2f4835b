"""Figures of `interp.analyses.attribution`."""
