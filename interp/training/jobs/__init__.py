"""Runs in the background: a queue, its worker, and their processes."""
