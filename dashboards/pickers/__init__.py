"""Controls by which a page asks for its arguments."""
