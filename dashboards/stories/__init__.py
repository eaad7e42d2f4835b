"""Results on a story or a question: mistakes, edits, decoded states, descriptions of heads."""
