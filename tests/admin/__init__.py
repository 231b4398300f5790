"""The admin API, over HTTP against the embedded default."""
