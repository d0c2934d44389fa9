"""HTTP framing over a real socket: a refusal and the end, never a second request out of a body."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterator

import pytest

from tests import flood
from tests.stack import Stack

HIDDEN = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
POST = b"POST /healthz HTTP/1.1\r\nHost: localhost\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
ODD = {
    "two lengths": POST + b"Content-Length: 0\r\nContent-Length: %d\r\n\r\n" % len(HIDDEN) + HIDDEN,
    "a length and chunks": POST
    + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    + HIDDEN,
    "a space before a colon": POST + b"Content-Length : %d\r\n\r\n" % len(HIDDEN) + HIDDEN,
    "a folded header": POST + b"X: a\r\n Content-Length: 1\r\n\r\n" + HIDDEN,
    "bare line feeds": b"POST /healthz HTTP/1.1\nHost: localhost\n\n" + HIDDEN,
    "a chunk longer than it says": CHUNKED + b"5\r\nhelloJUNK\r\n0\r\n\r\n" + HIDDEN,
    "a chunk of odd size": CHUNKED + b"+5\r\nhello\r\n0\r\n\r\n" + HIDDEN,
    "trailers without an end": CHUNKED + b"0\r\n" + b"A: b\r\n" * 10_000,
    "a size without an end": CHUNKED + b"0" * 100_000,
}


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    running = Stack(tmp_path_factory.mktemp("framing"), **flood.ENVIRONMENT)
    try:
        running.valkey.start()
        running.start_web()
        yield running
    finally:
        running.stop()


def answers(web: Stack, data: bytes) -> list[bytes]:
    """The statuses of all that is answered until the server closes."""
    received = b""
    with socket.create_connection(("127.0.0.1", web.port), timeout=5) as connection:
        try:
            connection.sendall(data)
            while more := connection.recv(4096):
                received += more
        except ConnectionError:
            pass  # it closed with bytes of ours unread
    return re.findall(rb"HTTP/1\.1 (\d{3})", received)


@pytest.mark.parametrize("odd", ODD)
def test_what_two_readers_could_take_differently_is_refused_and_closed(web, odd):
    assert answers(web, ODD[odd]) in ([b"400"], [])


def test_a_chunked_body_counts_as_a_body(web):
    """And what follows it is the next request."""
    said = b'{"never": 1}'
    head = b"POST /api/jobs/publish HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    token = f"Authorization: Bearer {flood.token('ana')}\r\n".encode()
    chunk = b"%x\r\n%s\r\n0\r\n\r\n" % (len(said), said)
    last = HIDDEN.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    data = head + token + b"Transfer-Encoding: chunked\r\n\r\n" + chunk + last
    assert answers(web, data) == [b"400", b"200"]


def test_a_long_body_that_nobody_wants_is_not_waited_for(web):
    """Its connection goes with it."""
    began = time.monotonic()
    assert answers(web, POST + b"Content-Length: 999999999\r\n\r\n" + b"x" * 200_000)[1:] == []
    assert time.monotonic() - began < 4
