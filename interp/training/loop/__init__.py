"""The loop itself: objective, optimizers, updates, evaluation, what is written down."""
