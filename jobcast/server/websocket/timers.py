"""One timer for everybody: each second it looks at those whose turn has come."""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Final, Protocol

import eventlet

logger = logging.getLogger(__name__)

#: Looks before others on the hub get their turn.
TIMERS_PER_TURN: Final = 256


class Timed(Protocol):
    """Something the wheel looks at; slots only, no timer of its own."""

    def tick(self, now: float) -> float | None:
        """Do what is due; seconds until the next look, None for never again."""


class TimerWheel:
    """Scheduler of a second; a look may come up to a second late, never early.

    ``pause`` gives others on the hub their turn: whoever came back together is pinged together.
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, pause: Callable[[], None] = lambda: None
    ) -> None:
        self._clock = clock
        self._pause = pause
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
        for number, timed in enumerate(due, 1):
            self._look_at(timed, now)
            if number % TIMERS_PER_TURN == 0:
                self._pause()
        return len(due)

    def _look_at(self, timed: Timed, now: float) -> None:
        try:
            again = timed.tick(now)
        except Exception:
            logger.exception("a connection's timer is given up after an error of our own")
            return
        if again is not None:
            self.add(timed, again)

    def run(self) -> None:
        """For ever; in a greenlet."""
        while True:
            self.turn()
            eventlet.sleep(0.25)

    def __len__(self) -> int:
        return sum(map(len, self._turns.values()))
