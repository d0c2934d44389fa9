"""Nonsense for a running server, by the thousand."""
