"""Figures of `interp.analyses.lenses`."""
