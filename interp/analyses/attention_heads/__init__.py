"""What each attention head attends to, and what is lost without it."""
