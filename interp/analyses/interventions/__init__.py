"""Change an activation, a component or a state, and measure what follows."""
