"""What each attention head looks at, and what is lost without it."""
