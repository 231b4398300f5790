"""What meets HTTP."""
