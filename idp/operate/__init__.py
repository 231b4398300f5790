"""What operators do to users and clients; the CLI and the admin API call the same services."""
