"""A body as it is read from a connection that may say anything, or nothing."""

from __future__ import annotations

import io
from typing import Any

import pytest
from eventlet.wsgi import ChunkReadError, Input

from jobcast.server.websocket import http_body
from jobcast.server.websocket.http_body import DISCARD_BYTES, BoundedInput


def body_of(data: bytes, length: int | None = None, patience: float = 5.0) -> BoundedInput:
    """A body of this length, or in chunks."""
    found = Input(io.BytesIO(data), length, None, chunked_input=length is None)
    return BoundedInput(found, patience)


@pytest.mark.parametrize("size", [1, 3, 1_000, None])
def test_chunks_are_put_together(size):
    """However much is read at once; extensions and trailers are passed over, what follows is left."""
    connection = b"5\r\nhello\r\n6;a=b\r\n world\r\n0\r\nX: y\r\n\r\nGET /"
    body = body_of(connection)
    parts = []
    while part := body.read(size):
        parts.append(part)
    assert b"".join(parts) == b"hello world"
    assert body.rfile.read() == b"GET /"


@pytest.mark.parametrize(
    "data",
    [
        b"0x5\r\nhello\r\n0\r\n\r\n",
        b"+5\r\nhello\r\n0\r\n\r\n",
        b"5\nhello\r\n0\r\n\r\n",
        b"5\r\nhello!\r\n0\r\n\r\n",
        b"\r\n5\r\nhello\r\n0\r\n\r\n",
        b"fffffffff\r\n",
        b"5\r\nhel",
        b"0" * 5_000,
        b"0\r\n" + b"X: y\r\n" * 5_000,
        b"0\r\nX: y\n\r\n",
    ],
)
def test_what_is_no_chunk_is_refused(data):
    """Whatever lenient readers make of it."""
    with pytest.raises(ChunkReadError):
        body_of(data).read()


def test_lines_end_where_they_end():
    """As forms are read."""
    body = body_of(b"one\ntwo\nthree", 13)
    assert body.readlines() == [b"one\n", b"two\n", b"three"]
    assert body_of(b"one\ntwo", 7).readline(2) == b"on"


def test_what_nobody_reads_is_not_read_to_its_end():
    """A little of it is, to keep the connection."""
    body_of(b"x" * 1_000, 1_000).discard()
    with pytest.raises(ChunkReadError):
        body_of(b"x" * 2 * DISCARD_BYTES, 2 * DISCARD_BYTES).discard()


def test_a_body_that_comes_too_slowly_has_an_end(monkeypatch):
    """A byte now and then is not enough, however patiently it goes on."""
    clock = [100.0]
    monkeypatch.setattr(http_body.time, "monotonic", lambda: clock[0])
    timeouts: list[float] = []

    def timeout(seconds: float, error: Any) -> Any:
        timeouts.append(seconds)
        return io.BytesIO()  # a context

    monkeypatch.setattr(http_body.eventlet, "Timeout", timeout)
    body = body_of(b"x" * 100_000, 100_000, patience=2.0)
    for _ in range(100):
        body.read(1)
        clock[0] += 1
    assert timeouts[0] > 1.9
    assert timeouts[-1] == 0.001
