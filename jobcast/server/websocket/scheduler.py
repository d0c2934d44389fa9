"""Whose turn it is: work of many clients, a little of it between two looks at the hub.

After a deploy thousands of clients come back at once. If all they want were done in one go, a health check
would wait for all of it.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import Final

import eventlet
from eventlet.greenpool import GreenPool

#: Pieces of work begun before everybody else on the hub gets a turn.
HANDLERS_PER_TURN: Final = 8
#: Pieces of work that may wait for something, such as Redis, at the same time; others wait for their turn.
AT_ONCE: Final = 128

#: Seconds between two looks when all of those wait.
STALLED: Final = 0.005

logger = logging.getLogger(__name__)

Work = Callable[[], None]


class Scheduler:
    """Runs what is handed in: ``quick`` never waits for anything, ``slow`` may."""

    def __init__(self) -> None:
        self._quick: deque[Work] = deque()
        self._slow: deque[Work] = deque()
        self._wake = eventlet.Event()
        self._pool = GreenPool(AT_ONCE)

    def quick(self, work: Work) -> None:
        self._quick.append(work)
        self._stir()

    def slow(self, work: Work) -> None:
        self._slow.append(work)
        self._stir()

    def run(self) -> None:
        """For ever; in a greenlet."""
        while True:
            if not self._quick and not self._slow:
                self._wake = eventlet.Event()
                self._wake.wait()
            for _ in range(min(HANDLERS_PER_TURN, len(self._quick))):
                _do(self._quick.popleft())
            for _ in range(min(HANDLERS_PER_TURN, len(self._slow), self._pool.free())):
                self._pool.spawn_n(_do, self._slow.popleft())
            # With nothing but work that has to wait for other work, the hub is looked at less often.
            eventlet.sleep(0 if self._quick or self._pool.free() else STALLED)

    def _stir(self) -> None:
        if not self._wake.ready():
            self._wake.send()


def _do(work: Work) -> None:
    try:
        work()
    except Exception:
        logger.exception("work for a client is given up after an error of our own")
