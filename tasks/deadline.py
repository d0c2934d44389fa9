"""A limit to how long a whole exchange over a socket takes, however slowly its bytes drip.

A socket's own timeout begins anew with every byte. The leash shuts the connection down when time is up,
whatever waits on it then.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from types import TracebackType
from typing import Self


class TooSlow(Exception):
    """Raised when the time is up."""


class Deadline:
    """A context manager; ``seconds`` are counted from its making."""

    def __init__(self, seconds: float) -> None:
        self._ends = time.monotonic() + seconds
        self._held: socket.socket | None = None
        self._lock = threading.Lock()
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._timer.cancel()
        self._let_go()

    @property
    def is_over(self) -> bool:
        return time.monotonic() >= self._ends

    def left(self) -> float:
        """Seconds that are left, above 0; raise TooSlow for none."""
        self.check()
        return max(self._ends - time.monotonic(), 0.001)

    def check(self) -> None:
        """Raise TooSlow when the time is up."""
        if self.is_over:
            raise TooSlow("the time is up")

    def hold(self, connected: socket.socket | None) -> None:
        """Watch this connection, instead of any before."""
        self._let_go()
        if connected is not None:
            with self._lock:
                # A descriptor of our own: whoever closes theirs cannot make ours mean something else.
                self._held = socket.socket(fileno=os.dup(connected.fileno()))

    def _cut(self) -> None:
        with self._lock, contextlib.suppress(OSError):
            if self._held is not None:
                self._held.shutdown(socket.SHUT_RDWR)

    def _let_go(self) -> None:
        with self._lock:
            held, self._held = self._held, None
        if held is not None:
            held.close()
