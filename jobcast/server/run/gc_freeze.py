"""Python's collector of cycles, kept from stopping everything in the middle of a burst.

A full collection looks at every object of every client: some 25 microseconds a client, all at once, whenever
enough has been made. So what has lived for a moment is set aside, where the collector does not look; what it
does look at is then what is new. Everything is looked at now and then, the more seldom the longer it takes.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from typing import Final

#: Seconds between two times that what is new is looked at and set aside.
TIDY_EVERY: Final = 0.5
#: Shortest time between two looks at everything, in seconds, and in multiples of what the last one took.
FULL_EVERY: Final = 60.0
FULL_PAUSE: Final = 1_000
#: Generations: what the collector has looked at no more than once, and all there is.
YOUNG: Final = 1
EVERYTHING: Final = 2


class GcFreeze:
    """For the loop that calls ``tidy`` every ``TIDY_EVERY`` seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._full_at = clock() + FULL_EVERY

    def run(self, sleep: Callable[[float], None]) -> None:
        """Tidy for ever; a loop that ends would let garbage grow."""
        while True:
            sleep(TIDY_EVERY)
            self.tidy()

    def tidy(self) -> None:
        """Collect what is garbage of what is young, or of everything when its time has come."""
        began = self._clock()
        is_full = began >= self._full_at
        if is_full:
            gc.unfreeze()
        gc.collect(EVERYTHING if is_full else YOUNG)
        gc.freeze()
        if is_full:
            ended = self._clock()
            self._full_at = ended + max(FULL_EVERY, FULL_PAUSE * (ended - began))
