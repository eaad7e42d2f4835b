"""Results told on a story, word by word."""
