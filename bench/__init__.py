"""What a request costs: CPU per request of the server's worker, beside the machine's own limits."""
