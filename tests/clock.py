"""A clock that moves when it is told to."""

from __future__ import annotations


class FakeClock:
    """Call it for the time, in seconds."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds
