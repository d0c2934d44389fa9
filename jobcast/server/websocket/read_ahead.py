"""Bytes from Redis, read ahead of those who handle them.

Redis parts with a subscriber whose output buffer grows past a bound, 32 MiB as it is delivered. What is read
in time waits here instead, and nothing is lost while a burst is handled.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any, Final

from eventlet.greenio import GreenSocket
from redis.exceptions import ConnectionError

from jobcast.server.redis.chunks import READ_BYTES, Moment, read
from jobcast.server.websocket.read_waiter import ReadWaiter

#: Bytes that may wait here; past that they wait in Redis.
READ_AHEAD_BYTES: Final = 64 * 1024 * 1024


def chunks(tcp: Any, quiet: float) -> Iterator[bytes | Moment]:
    """What arrives on a connection, read ahead unless TLS does its own waiting; for ``Listener.chunks``."""
    return _read_ahead(tcp, quiet) if type(tcp) is GreenSocket else read(tcp, quiet)


def _read_ahead(tcp: GreenSocket, quiet: float) -> Iterator[bytes | Moment]:
    ear = ReadWaiter(tcp.fileno())
    waiting: deque[bytes] = deque()
    may_have_more = False
    try:
        while True:
            if may_have_more:
                may_have_more = _drain(tcp.fd, waiting)
            if waiting:
                yield waiting.popleft()
                continue
            yield Moment.IDLE
            may_have_more = ear.wait(quiet)
            if not may_have_more:
                yield Moment.QUIET
    finally:
        ear.close()


def _drain(raw: Any, waiting: deque[bytes]) -> bool:
    """Take what the kernel has, and whether it may have more by now.

    A connection that was closed is told after the last bytes of it.
    """
    while len(waiting) * READ_BYTES < READ_AHEAD_BYTES:
        try:
            data = raw.recv(READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return False
        if not data:
            if waiting:
                return True
            raise ConnectionError("closed by Redis")
        waiting.append(data)
        if len(data) < READ_BYTES:
            return False
    return True
