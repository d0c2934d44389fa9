"""Real processes, faults from outside, and figures: ``python -m tests.chaos`` (docs/chaos.md)."""
