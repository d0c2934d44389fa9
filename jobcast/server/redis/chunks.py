"""Bytes from Redis, as they come."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import Enum
from typing import Any, Final

from redis.exceptions import ConnectionError

#: Bytes read at once. hiredis moves all that it was fed and has not parsed whenever it parsed a little.
READ_BYTES: Final = 64 * 1024


class Moment(Enum):
    """What there is to say besides bytes."""

    #: All that has come was handed out.
    IDLE = "idle"
    #: Nothing has come for a while.
    QUIET = "quiet"


#: What arrives on a connection, and that nothing did for so many seconds.
Chunks = Callable[[Any, float], Iterator[bytes | Moment]]


def read(tcp: Any, quiet: float) -> Iterator[bytes | Moment]:
    """What arrives, for ever; raise redis' ConnectionError when the connection was closed."""
    tcp.settimeout(quiet)
    while True:
        yield Moment.IDLE
        try:
            data = tcp.recv(READ_BYTES)
        except TimeoutError:
            yield Moment.QUIET
            continue
        if not data:
            raise ConnectionError("closed by Redis")
        yield data
