"""A relying party: a web application that lets people sign in at the provider."""
