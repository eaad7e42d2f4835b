"""What can be read from activations: probes, concepts, decoded states."""
