"""`idp dev`: the whole system in one command with throw-away state."""
