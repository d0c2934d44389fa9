"""A circuit breaker: after a failure the store is left alone for a while, so that an outage costs little.

Closed, everything is tried. A failure opens it; when its pause is over, one try decides whether it closes or
stays open for longer. The pauses double up to a limit and are jittered, so that a hundred workers do not all
come back at once. (The pattern is Michael Nygard's, in *Release It!*.)
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

#: First and longest pause between two tries, in seconds.
FIRST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 1.0


class CircuitBreaker:
    """Pure but for its clock; whoever tries says how it went."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.is_open = False
        #: When the next try is allowed, by the clock.
        self.retry_at = clock()
        self._clock = clock
        self._pause = FIRST_PAUSE

    @property
    def allows(self) -> bool:
        """Whether a try may be made now."""
        return self._clock() >= self.retry_at

    def failed(self) -> None:
        """A try failed: open, or stay open for longer."""
        self.is_open = True
        self.retry_at = self._clock() + self._pause * random.uniform(0.5, 1.0)  # noqa: S311
        self._pause = min(self._pause * 2, LONGEST_PAUSE)

    def succeeded(self) -> None:
        """A try went well: closed."""
        self.is_open = False
        self._pause = FIRST_PAUSE
