"""Measurements, side by side with others as they are published; see docs/performance.md."""
