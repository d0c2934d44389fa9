"""One client of a Socket.IO server over a plain WebSocket, as little of it as a load client needs."""

from __future__ import annotations

import base64
import socket
import zlib
from collections.abc import Generator
from typing import Final

#: An Engine.IO PING in a frame of its own; no JSON text contains it.
PING: Final = b"\x81\x012"
#: Bytes taken from the kernel at once.
READ_SIZE: Final = 1 << 18
#: What browsers offer.
DEFLATE: Final = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"

#: Gets what arrived, waits for more, and returns when its part of the conversation is over.
Talk = Generator[None, bytes, None]


class RequestRefused(Exception):
    """Raised when the server answers with something else than the protocol asks for."""


def frame(text: str) -> bytes:
    """A text frame of up to 125 bytes, masked with zeros."""
    payload = text.encode()
    return bytes((0x81, 0x80 | len(payload), 0, 0, 0, 0)) + payload


PONG: Final = frame("3")


class Client:
    """A connection and what is unread of it; ``sock`` does not block."""

    __slots__ = ("_buffer", "_inflater", "number", "sock", "talk")

    def __init__(self, number: int, address: tuple[str, int]) -> None:
        self.number = number
        self.sock = socket.create_connection(address)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.setblocking(False)
        self.talk: Talk | None = None
        self._buffer = b""
        self._inflater: Inflater | None = None

    def start(self, talk: Talk) -> None:
        self.talk = talk
        next(talk)

    def read(self) -> bytes:
        """What arrived, as if it had not been compressed; raise RequestRefused at the end of the stream."""
        data = self.sock.recv(READ_SIZE)
        if not data:
            raise RequestRefused(f"the server closed connection {self.number}")
        return self._inflater.feed(data) if self._inflater else data

    def proceed(self, data: bytes) -> bool:
        """Go on with the conversation; True when it is over."""
        if self.talk is None:
            return True
        try:
            self.talk.send(data)
        except StopIteration:
            self.talk = None
            return True
        return False

    def connect(self, address: tuple[str, int], deflate: bool) -> Talk:
        """WebSocket, Engine.IO and the namespace ``/jobs``."""
        self.sock.sendall(_upgrade(address, deflate))
        answer = yield from self._until(b"\r\n\r\n")
        if b" 101 " not in answer.split(b"\r\n", 1)[0]:
            raise RequestRefused(answer.decode(errors="replace"))
        if b"permessage-deflate" in answer:
            self._inflater = Inflater()
            self._buffer = self._inflater.feed(self._buffer)
        yield from self._until(b'"pingTimeout"')
        self.sock.sendall(frame("40/jobs,"))
        answer = yield from self._until(b"/jobs,{")
        if b"44/jobs," in answer:
            raise RequestRefused("the namespace refused the client")
        self._buffer = b""

    def subscribe(self, job_id: str) -> Talk:
        self.sock.sendall(frame(f'42/jobs,["subscribe-job","{job_id}"]'))
        yield from self._until(b'42/jobs,["subscribed",')
        self._buffer = b""

    def _until(self, mark: bytes) -> Generator[None, bytes, bytes]:
        """Read up to and with the mark; pings are answered elsewhere."""
        while mark not in self._buffer:
            self._buffer += yield
        found, _, self._buffer = self._buffer.partition(mark)
        return found + mark


class Inflater:
    """Takes permessage-deflate off a server's frames."""

    __slots__ = ("_buffer", "_inflate")

    def __init__(self) -> None:
        self._buffer = b""
        self._inflate = zlib.decompressobj(-zlib.MAX_WBITS)

    def feed(self, data: bytes) -> bytes:
        """The frames that are complete, uncompressed."""
        self._buffer += data
        plain = b""
        while (end := _frame_end(self._buffer)) is not None:
            start, stop = end
            plain += self._plain(self._buffer[0], self._buffer[start:stop])
            self._buffer = self._buffer[stop:]
        return plain

    def _plain(self, first: int, payload: bytes) -> bytes:
        if first & 0x40:
            payload = self._inflate.decompress(payload + b"\x00\x00\xff\xff")
        return bytes((first & ~0x40,)) + _length(len(payload)) + payload


def _frame_end(data: bytes) -> tuple[int, int] | None:
    """Where the payload of the first frame starts and stops; None when it is not complete."""
    if len(data) < 2:
        return None
    size = {126: 2, 127: 8}.get(data[1], 0)
    start = 2 + size
    stop = start + (int.from_bytes(data[2:start]) if size else data[1])
    return (start, stop) if len(data) >= max(start, stop) else None


def text_frame(text: str) -> bytes:
    """A text frame as servers write them, not masked."""
    payload = text.encode()
    return b"\x81" + _length(len(payload)) + payload


def _length(size: int) -> bytes:
    if size < 126:
        return bytes((size,))
    return b"\x7e" + size.to_bytes(2) if size < 65_536 else b"\x7f" + size.to_bytes(8)


def _upgrade(address: tuple[str, int], deflate: bool) -> bytes:
    host = f"{address[0]}:{address[1]}"
    key = base64.b64encode(b"sixteen bytes ok").decode()
    return (
        f"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\n"
        "Upgrade: websocket\r\nConnection: Upgrade\r\nUser-Agent: bench\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n{DEFLATE if deflate else ''}\r\n"
    ).encode()
