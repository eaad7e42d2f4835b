"""What two families of instruments share, each under the name that its paper gives it."""
