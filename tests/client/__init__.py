"""The browser client, checked from the Python side."""
