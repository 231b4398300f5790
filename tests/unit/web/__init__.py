"""Mirror of idp/web."""
