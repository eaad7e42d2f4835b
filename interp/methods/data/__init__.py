"""What an instrument measures on: examples, pairs, tables, questions with their answers."""
