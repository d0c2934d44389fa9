"""Waiting for one descriptor again and again, registered with the hub once.

eventlet's own sockets register and unregister for each wait, which is two system calls for each message.
"""

from __future__ import annotations

import time
from typing import Any

from eventlet.hubs import get_hub
from greenlet import getcurrent


class ReadWaiter:
    """For the greenlet that makes it, and only while that greenlet is in ``wait``."""

    def __init__(self, descriptor: int) -> None:
        self._hub = get_hub()
        self._greenlet: Any = getcurrent()
        self._parked = False
        self._since = 0.0
        self._timer: Any = None
        self._seconds = 0.0
        self._listener = self._hub.add(
            self._hub.READ, descriptor, self._on_readable, self._greenlet.throw, None
        )

    def wait(self, seconds: float | None = None) -> bool:
        """True when there is something to read; False when there was nothing for so long."""
        self._parked = True
        if seconds is not None:
            self._since = time.monotonic()
            self._seconds = seconds
            if self._timer is None:
                self._timer = self._hub.schedule_call_global(seconds, self._look_at_clock)
        return bool(self._hub.switch())

    def close(self) -> None:
        """Before the descriptor is closed."""
        self._hub.remove(self._listener)
        if self._timer is not None:
            self._timer.cancel()

    def _on_readable(self, _: int) -> None:
        if self._parked:
            self._parked = False
            self._greenlet.switch(True)

    def _look_at_clock(self) -> None:
        """One timer for many waits: it is set again for what is left of the newest."""
        self._timer = None
        if not self._parked:
            return
        left = self._since + self._seconds - time.monotonic()
        if left > 0:
            self._timer = self._hub.schedule_call_global(left, self._look_at_clock)
        else:
            self._parked = False
            self._greenlet.switch(False)
