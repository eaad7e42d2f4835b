"""Pages of `interp.analyses.attention_heads`."""
