"""WebSocket frames: ours are made here, a client's are read by wsproto.

Pure. A parser takes two kilobytes, so a client has one only while something of it is incomplete.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from wsproto.frame_protocol import CloseReason, FrameProtocol, Opcode, ParseFailed

NORMAL: Final = CloseReason.NORMAL_CLOSURE
GOING_AWAY: Final = CloseReason.GOING_AWAY
TOO_BIG: Final = CloseReason.MESSAGE_TOO_BIG
PROTOCOL_ERROR: Final = CloseReason.PROTOCOL_ERROR
POLICY: Final = CloseReason.POLICY_VIOLATION
#: Parts of an incomplete message that are kept apart; a client may send byte by byte.
PARTS: Final = 1024


class BadFrame(Exception):
    """Raised for bytes that are no WebSocket; ``code`` is what the client is closed with."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def text_header(size: int) -> bytes:
    """What stands before ``size`` bytes of a whole text message."""
    return _header(0x81, size)


def text_frame(data: bytes) -> bytes:
    """A whole text message; UTF-8."""
    return _header(0x81, len(data)) + data


def binary_frame(data: bytes) -> bytes:
    """A whole binary message."""
    return _header(0x82, len(data)) + data


def pong_frame(data: bytes) -> bytes:
    """The answer to a WebSocket ping, with what the ping carried."""
    return _header(0x8A, len(data)) + data


def close_frame(code: int) -> bytes:
    """The end of a connection, with its reason."""
    return _header(0x88, 2) + code.to_bytes(2, "big")


def _header(first: int, size: int) -> bytes:
    if size < 126:
        return bytes((first, size))
    if size < 65536:
        return bytes((first, 126)) + size.to_bytes(2, "big")
    return bytes((first, 127)) + size.to_bytes(8, "big")


def bytes_of(payload: str | bytes) -> int:
    """How many bytes a payload has on the wire."""
    if isinstance(payload, bytes) or payload.isascii():
        return len(payload)
    return len(payload.encode())


class Ping(bytes):
    """A WebSocket ping."""

    __slots__ = ()


class Close(int):
    """The other side ends the connection; 1005 without a reason."""

    __slots__ = ()


Message = str | bytes | Ping | Close


class Inbound:
    """What one client has sent, message by message; ``limit`` is the largest, in bytes."""

    __slots__ = ("_limit", "_parts", "_protocol", "_size", "frames")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._protocol = FrameProtocol(client=False, extensions=[])
        self._parts: list[str | bytes] = []
        self._size = 0
        #: Frames read so far, whatever their kind.
        self.frames = 0

    def feed(self, data: bytes) -> Iterator[Message]:
        """Messages as str or bytes, pings and the close; raise BadFrame."""
        self._protocol.receive_bytes(data)
        try:
            for frame in self._protocol.received_frames():
                self.frames += 1
                yield from self._take(frame.opcode, frame.payload, frame.message_finished)
        except ParseFailed as error:
            raise BadFrame(error.code, str(error)) from error

    @property
    def is_clean(self) -> bool:
        """Whether nothing is half read."""
        decoder = self._protocol._frame_decoder  # noqa: SLF001  # wsproto does not say; a contract test does
        message = self._protocol._message_decoder  # noqa: SLF001
        return not len(decoder.buffer) and decoder.header is None and message.opcode is None

    def _take(self, opcode: Opcode, payload: object, finished: bool) -> Iterator[Message]:
        if opcode is Opcode.CLOSE and isinstance(payload, tuple):
            yield Close(payload[0])
        elif opcode is Opcode.PING and isinstance(payload, bytes):
            yield Ping(payload)
        elif opcode in (Opcode.TEXT, Opcode.BINARY) and isinstance(payload, str | bytes):
            yield from self._collect(payload, finished)

    def _collect(self, payload: str | bytes, finished: bool) -> Iterator[str | bytes]:
        self._size += bytes_of(payload)
        self._parts.append(payload)
        if self._size > self._limit:
            raise BadFrame(TOO_BIG, "message too big")
        if finished or len(self._parts) > PARTS:
            self._parts = [type(payload)().join(self._parts)]  # type: ignore[arg-type]  # all of one type
        if finished:
            (message,), self._parts, self._size = self._parts, [], 0
            yield message
