"""How all of it came about: checkpoints, curricula, scaling."""
