"""Placeholder of the sampling loop."""
