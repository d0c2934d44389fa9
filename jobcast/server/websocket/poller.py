"""Many descriptors behind one: an epoll of our own, which the hub sees as a single readable descriptor.

The hub's listeners cost several hundred bytes each and one registration per wait. An idle client costs
nothing here but its place in a dictionary.
"""

from __future__ import annotations

import logging
from typing import Final

from eventlet.patcher import original

from jobcast.server.websocket.epoll_events import Watched
from jobcast.server.websocket.read_waiter import ReadWaiter

logger = logging.getLogger(__name__)

#: Descriptors handled before others on the hub get their turn.
EVENTS_AT_ONCE: Final = 64


class Poller:
    """Tells watched objects about their descriptors, from one greenlet."""

    def __init__(self) -> None:
        self._epoll = original("select").epoll()
        self._watched: dict[int, Watched] = {}

    def watch(self, descriptor: int, watched: Watched, events: int) -> None:
        self._watched[descriptor] = watched
        self._epoll.register(descriptor, events)

    def change(self, descriptor: int, events: int) -> None:
        self._epoll.modify(descriptor, events)

    def hand_to(self, descriptor: int, watched: Watched, events: int) -> None:
        """Have somebody else watch a descriptor that is watched already."""
        self._watched[descriptor] = watched
        self._epoll.modify(descriptor, events)

    def forget(self, descriptor: int) -> None:
        if self._watched.pop(descriptor, None) is not None:
            self._epoll.unregister(descriptor)

    def run(self) -> None:
        """For ever; in a greenlet.

        Registered with the hub once: an epoll inside an epoll takes the kernel longer to add the more it
        holds.
        """
        ear = ReadWaiter(self._epoll.fileno())
        while True:
            ear.wait()
            for descriptor, events in self._epoll.poll(0, EVENTS_AT_ONCE):
                self._tell(descriptor, events)

    def _tell(self, descriptor: int, events: int) -> None:
        watched = self._watched.get(descriptor)
        if watched is None:
            return
        try:
            watched.ready(events)
        except Exception:
            logger.exception("a connection is given up after an error of our own")
            watched.give_up()

    def __len__(self) -> int:
        return len(self._watched)
