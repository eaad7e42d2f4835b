"""What the model says: answers, surprise, fidelity to its world."""
