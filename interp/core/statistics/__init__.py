"""Intervals, tests, association. The unit of chance is the story, never the token."""
