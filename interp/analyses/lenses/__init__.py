"""Read a prediction out of the residual stream."""
