"""Results on a story: edits, decoded states, descriptions of heads."""
