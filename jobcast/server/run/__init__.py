"""A server process: how it starts, runs on several cores, and ends."""
