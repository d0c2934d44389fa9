"""A request's body as it is read: piece by piece, strictly, and with an end to it.

eventlet reads whatever it is told the size of, in one go and for as long as it takes; chunk sizes and
trailers by line without a bound; and what an application left unread to its end, so as to keep the
connection.
"""

from __future__ import annotations

import re
import time
from typing import Any, Final

import eventlet
from eventlet.wsgi import ChunkReadError, Input

#: Bytes read before others on the hub get their turn.
PIECE_BYTES: Final = 16 * 1024
#: Bytes a second that a body has to come with, and seconds it may take in all.
SLOWEST_BYTES_PER_SECOND: Final = 8 * 1024
BODY_TIMEOUT: Final = 300.0
#: Bytes of a chunked body that are looked at before the application is asked.
PREFETCH_BYTES: Final = 64 * 1024
#: Bytes that are read for nobody, to keep a connection.
DISCARD_BYTES: Final = 64 * 1024
#: Longest line between chunks, and all trailers together.
LINE_BYTES: Final = 256
TRAILER_BYTES: Final = 8 * 1024

_CHUNK_SIZE: Final = re.compile(rb"([0-9a-fA-F]{1,8})[ \t]*(?:;[^\r\n\0]*)?\r\n\Z")


class BoundedInput(Input):  # type: ignore[misc]  # untyped library
    """``wsgi.input``; raises TimeoutError for what is too slow and ChunkReadError for what is no chunk.

    ``patience`` is in seconds, on top of what the size allows.
    """

    def __init__(self, found: Input, patience: float) -> None:
        super().__init__(
            found.rfile,
            found.content_length,
            found._sock,
            wfile=found.wfile,
            wfile_line=found.wfile_line,
            chunked_input=found.chunked_input,
        )
        self._patience = patience
        self._since = time.monotonic()
        self._came = 0
        self._left_of_chunk = 0
        self._is_at_end = False
        self._ready = bytearray()

    def prefetch(self) -> None:
        """Read the beginning of a chunked body, so that one that is no such thing is refused."""
        if self.chunked_input and not self.should_send_hundred_continue:
            self._ready += self._chunks(PREFETCH_BYTES)

    def read(self, length: int | None = None) -> bytes:
        """As many bytes, or all that is left."""
        if self.should_send_hundred_continue:
            self.send_hundred_continue_response()
            self.is_hundred_continue_response_sent = True
        if not self.chunked_input:
            left = self.content_length - self.position
            return self._counted(left if length is None or length < 0 else min(length, left))
        wanted = None if length is None or length < 0 else length
        if wanted is None or len(self._ready) < wanted:
            self._ready += self._chunks(None if wanted is None else wanted - len(self._ready))
        taken = bytes(self._ready if wanted is None else self._ready[:wanted])
        del self._ready[: len(taken)]
        return taken

    def readline(self, size: int | None = None) -> bytes:
        """A line, or as much of one as ``size`` says."""
        line = bytearray()
        while (size is None or size < 0 or len(line) < size) and not line.endswith(b"\n"):
            byte = self.read(1)
            if not byte:
                break
            line += byte
        return bytes(line)

    def readlines(self, hint: int | None = None) -> list[bytes]:
        return list(iter(self.readline, b""))

    def discard(self, buffer_size: int = PIECE_BYTES) -> None:
        """Read what nobody read, unless it is much: the connection is not kept then."""
        left = DISCARD_BYTES
        while left > 0 and (data := self.read(min(buffer_size, left))):
            left -= len(data)
        if left <= 0:
            raise ChunkReadError("too much that nobody reads")

    def _counted(self, length: int) -> bytes:
        data = self._pieces(length)
        self.position += len(data)
        return data

    def _pieces(self, length: int) -> bytes:
        """So many bytes of the connection, fewer at its end."""
        parts: list[bytes] = []
        while length > 0:
            data = self._piece(min(length, PIECE_BYTES))
            if not data:
                break
            parts.append(data)
            length -= len(data)
        return b"".join(parts)

    def _piece(self, length: int) -> bytes:
        with self._timeout(length):
            data: bytes = self.rfile.read(length)
        self._came += len(data)
        eventlet.sleep(0)
        return data

    def _line(self, limit: int) -> bytes:
        with self._timeout(limit):
            line: bytes = self.rfile.readline(limit)
        self._came += len(line)
        return line

    def _timeout(self, coming: int) -> Any:
        allowed = min(BODY_TIMEOUT, self._patience + (self._came + coming) / SLOWEST_BYTES_PER_SECOND)
        left = self._since + allowed - time.monotonic()
        return eventlet.Timeout(max(0.001, left), TimeoutError("no end of the body"))

    def _chunks(self, length: int | None) -> bytes:
        """So many bytes of content, or all."""
        parts: list[bytes] = []
        while not self._is_at_end and (length is None or length > 0):
            if not self._left_of_chunk:
                self._next_chunk()
                continue
            left = self._left_of_chunk if length is None else min(length, self._left_of_chunk)
            data = self._pieces(left)
            if len(data) < left:
                raise self._broken("the connection ends in a chunk")
            parts.append(data)
            self._left_of_chunk -= left
            length = None if length is None else length - left
            if not self._left_of_chunk and self._pieces(2) != b"\r\n":
                raise self._broken("a chunk does not end where it says")
        return b"".join(parts)

    def _next_chunk(self) -> None:
        found = _CHUNK_SIZE.match(self._line(LINE_BYTES))
        if found is None:
            raise self._broken("no size of a chunk")
        self._left_of_chunk = int(found[1], 16)
        eventlet.sleep(0)
        if not self._left_of_chunk:
            self._skip_trailers()
            self._is_at_end = True

    def _skip_trailers(self) -> None:
        left = TRAILER_BYTES
        while (line := self._line(min(left, LINE_BYTES * 4))) != b"\r\n":
            left -= len(line)
            if not line.endswith(b"\r\n") or left <= 0:
                raise self._broken("no end of the trailers")

    def _broken(self, why: str) -> ChunkReadError:
        self._is_at_end = True
        return ChunkReadError(why)
