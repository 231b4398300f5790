"""Adapters that keep the records: SQL, Redis, and the encryption of secrets at rest."""
