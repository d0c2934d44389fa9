"""One timer for everybody: each second it looks at those whose turn has come."""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Protocol

import eventlet

logger = logging.getLogger(__name__)


class Timed(Protocol):
    """Something the wheel looks at; slots only, no timer of its own."""

    def tick(self, now: float) -> float | None:
        """Do what is due; seconds until the next look, None for never again."""


class Wheel:
    """Turns of a second; a look may come up to a second late, never early."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._turns: defaultdict[int, list[Timed]] = defaultdict(list)
        self._at = int(clock())

    def now(self) -> float:
        return self._clock()

    def add(self, timed: Timed, after: float) -> None:
        """Have ``tick`` called in ``after`` seconds."""
        self._turns[int(self._clock() + after) + 1].append(timed)

    def turn(self) -> int:
        """Look at all whose time has come; how many these were."""
        now = self._clock()
        count = 0
        while self._at <= now:
            count += self._look(self._turns.pop(self._at, ()), now)
            self._at += 1
        return count

    def _look(self, due: list[Timed] | tuple[()], now: float) -> int:
        for timed in due:
            try:
                again = timed.tick(now)
            except Exception:
                logger.exception("a connection's timer is given up after an error of our own")
                continue
            if again is not None:
                self.add(timed, again)
        return len(due)

    def run(self) -> None:
        """For ever; in a greenlet."""
        while True:
            self.turn()
            eventlet.sleep(0.25)

    def __len__(self) -> int:
        return sum(map(len, self._turns.values()))
