"""A Socket.IO event, encoded and framed once for everybody it goes to."""

from __future__ import annotations

from typing import Any

from engineio.packet import MESSAGE, Packet

from jobcast.server.protocol.frames import binary_frame, text_frame, text_header


class Event:
    """An EVENT packet around JSON that is already there; ``payload`` is UTF-8."""

    __slots__ = ("_packet", "_size", "frame")

    def __init__(self, namespace: bytes, event: bytes, payload: bytes) -> None:
        self._size = len(namespace) + len(event) + len(payload) + 8
        self.frame = b'%b42%b,["%b",%b]' % (text_header(self._size), namespace, event, payload)
        self._packet: Packet | None = None

    @property
    def packet(self) -> Packet:
        """The same for a client that polls."""
        if self._packet is None:
            self._packet = Packet(MESSAGE, self.frame[1 - self._size :].decode())
        return self._packet


def frame_of(packet: Any) -> bytes:
    """The frame of an Engine.IO packet, kept on it, as a stock emit goes to many."""
    frame: bytes | None = getattr(packet, "frame", None)
    if frame is None:
        encoded = packet.encode()
        frame = text_frame(encoded.encode()) if isinstance(encoded, str) else binary_frame(encoded)
        packet.frame = frame
    return frame
