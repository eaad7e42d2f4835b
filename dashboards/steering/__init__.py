"""The parts of the Steer page."""
