"""How late the event loop comes to its turns: what every client feels."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

#: Seconds between two beats.
BEAT_SECONDS: Final = 0.5


class LoopLag:
    """``lag`` is how many seconds the last beat came late."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.lag = 0.0
        self._clock = clock

    def beat(self, sleep: Callable[[float], None]) -> None:
        """Sleep for a beat and see how long it took."""
        begun = self._clock()
        sleep(BEAT_SECONDS)
        self.lag = max(0.0, self._clock() - begun - BEAT_SECONDS)
