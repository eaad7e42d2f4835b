"""Reading variables out of activations: classifiers, directions, decoded states."""
