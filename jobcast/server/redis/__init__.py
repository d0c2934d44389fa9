"""The process's subscription to Redis, and what may come from it."""
