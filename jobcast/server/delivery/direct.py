"""What a transport of our own offers beyond Engine.IO's sockets: it keeps account of what waits itself."""

from __future__ import annotations

from typing import Final

from jobcast.server.protocol.events import Event

#: Bytes that may wait for a client before it counts as slow; answers may go to twice that.
SLOW_AFTER_BYTES: Final = 128 * 1024


class DirectConnection:
    """Base of the connections that stand in ``engineio.Server.sockets`` and take encoded events."""

    __slots__ = ()

    def offer(self, event: Event) -> bool:
        """Take an event for the next flush; False when the client is too far behind for it."""
        raise NotImplementedError

    def post(self, frame: bytes) -> None:
        """Take a stock emit for the next flush."""
        raise NotImplementedError

    @property
    def has_room(self) -> bool:
        raise NotImplementedError

    @property
    def buffered(self) -> int:
        """Bytes that wait for the client to read."""
        raise NotImplementedError
