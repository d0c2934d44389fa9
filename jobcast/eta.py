"""How fast a job moves, and when it will be done.

The estimate looks at the last 30 seconds, as rich does, so that a burst or a pause is forgotten; it says
nothing before it has seen two seconds of movement, and a step back (a new attempt) starts it afresh.
"""

from __future__ import annotations

from collections import deque
from typing import Final

#: Seconds of movement an estimate rests on.
WINDOW: Final = 30.0
#: Seconds of movement needed before there is an estimate.
WARM_UP: Final = 2.0


class EtaEstimator:
    """Feed it ``observe(now, completed)``; ask it for ``eta(total)`` in seconds."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, float]] = deque()

    def observe(self, now: float, completed: float) -> None:
        if self._samples and completed < self._samples[-1][1]:
            self._samples.clear()
        self._samples.append((now, completed))
        while len(self._samples) > 2 and self._samples[1][0] <= now - WINDOW:
            self._samples.popleft()

    def eta(self, total: float | None) -> float | None:
        """Seconds left, or None while unknown."""
        if total is None or len(self._samples) < 2:
            return None
        (first_at, first), (last_at, last) = self._samples[0], self._samples[-1]
        if last_at - first_at < WARM_UP or last <= first:
            return None
        return max(0.0, total - last) * (last_at - first_at) / (last - first)
