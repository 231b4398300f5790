"""The flow: what a sign-in still needs, and moving it one step."""
