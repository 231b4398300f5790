"""For tests of this provider and of what signs in with it."""
