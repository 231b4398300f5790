"""Programs that use the provider from outside: each runs, each is tested."""
