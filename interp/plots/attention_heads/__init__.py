"""Figures of `interp.analyses.attention_heads`."""
