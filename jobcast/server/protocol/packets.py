"""Engine.IO and Socket.IO packets, read strictly: whatever cannot be understood is a ``BadPacket``."""

from __future__ import annotations

from typing import Any, Final

from engineio import packet as engine
from socketio import packet as sio

#: Attachments one packet may announce; they are kept until the last one has come.
MOST_ATTACHMENTS: Final = 10
#: What python-socketio says of a namespace it does not know, and what Node's server says; the protocol has an
#: object with a message there.
_REFUSED: Final = "Unable to connect"
_NO_NAMESPACE: Final = "Invalid namespace"
_MESSAGES: Final = (sio.EVENT, sio.BINARY_EVENT)
_ACKS: Final = (sio.ACK, sio.BINARY_ACK)


class BadPacket(Exception):
    """Raised for what a client sent and nobody can understand."""


def decoded(encoded: str | bytes) -> engine.Packet:
    """An Engine.IO packet; raise BadPacket."""
    try:
        packet = engine.Packet(encoded_packet=encoded)
    except (ValueError, IndexError, RecursionError) as error:
        raise BadPacket("no Engine.IO packet") from error
    if packet.packet_type > engine.NOOP:
        raise BadPacket("no such Engine.IO packet")
    return packet


class StrictPacket(sio.Packet):  # type: ignore[misc]  # untyped library
    """A Socket.IO packet that raises BadPacket, and nothing else, for what is none."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        said: Any = self.data
        if self.packet_type == sio.CONNECT_ERROR and isinstance(said, str):
            self.data: Any = {"message": _NO_NAMESPACE if said == _REFUSED else said}

    def decode(self, encoded_packet: Any) -> int:
        if not isinstance(encoded_packet, str):
            raise BadPacket("no Socket.IO packet")
        try:
            count: int = super().decode(encoded_packet)
        except (ValueError, RecursionError) as error:
            raise BadPacket("no Socket.IO packet") from error
        self._check(count)
        return count

    def _check(self, count: int) -> None:
        if self.packet_type in _MESSAGES:
            fits = isinstance(self.data, list) and bool(self.data) and isinstance(self.data[0], str)
        elif self.packet_type in _ACKS:
            fits = isinstance(self.data, list) and self.id is not None
        elif self.packet_type == sio.CONNECT:
            fits = self.data is None or isinstance(self.data, dict)
        else:
            fits = self.packet_type == sio.DISCONNECT and self.data is None
        is_binary = self.packet_type in (sio.BINARY_EVENT, sio.BINARY_ACK)
        if not fits or not (0 < count <= MOST_ATTACHMENTS if is_binary else count == 0):
            raise BadPacket("no Socket.IO packet")

    def add_attachment(self, attachment: Any) -> bool:
        if not isinstance(attachment, bytes):
            raise BadPacket("no attachment")
        try:
            complete: bool = super().add_attachment(attachment)
        except (ValueError, LookupError, TypeError, RecursionError) as error:
            raise BadPacket("no such attachment") from error
        return complete
