"""Factors: one plugin class per file on the contract of `base`."""
