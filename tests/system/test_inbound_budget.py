"""Whatever one connection sends, of whatever kind, it is closed in time and says so in the audit log.

On both ways in: the front door, and eventlet's own WebSockets, which serve when that is closed.
"""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Iterator

import pytest

from tests.stack import Stack, http, wait_for
from tests.wire import PING, PONG, Closed, Polling, Wire, frame

KEY = "a-key-for-tests-" * 4
POLICY, TOO_BIG = 1008, 1009
#: A budget of 3 × 40 frames a second, for (20 + 200) / 40 = 5.5 seconds: 660 at once.
LIMITS = {
    "SOCKETIO_JWT_KEY": KEY,
    "HOST": "127.0.0.1",
    "JOBCAST_LIMIT_EVENTS_PER_SECOND": "40",
    "JOBCAST_LIMIT_EVENT_BURST": "20",
    "JOBCAST_LIMIT_MESSAGE_BYTES": "8192",
    "JOBCAST_LIMIT_BYTES_PER_SECOND": "32768",
}
NO_MESSAGES = {
    "pongs": frame("3"),
    "NOOPs": frame("6"),
    "pings of a client": frame("2"),
    "upgrades of one that is no poller": frame("5"),
    "WebSocket pings": frame(b"x", PING),
    "WebSocket pongs": frame(b"x", PONG),
}


@pytest.fixture(scope="module", params=["front door", "stock"])
def server(request, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Valkey and a web process with small limits."""
    is_open = str(request.param == "front door").lower()
    running = Stack(tmp_path_factory.mktemp("budget"), **LIMITS, JOBCAST_FRONT_DOOR=is_open)
    try:
        running.valkey.start()
        running.start_web()
        yield running
    finally:
        running.stop()


@contextlib.contextmanager
def opened(stack: Stack) -> Iterator[Wire]:
    client = Wire(stack.port)
    try:
        yield client.open()
    finally:
        client.close()


def is_noted(stack: Stack, sid: str) -> bool:
    """Whether the audit log says that this connection was over its limit."""
    lines = [json.loads(line) for line in stack.logs().splitlines() if line.startswith('{"')]
    return any(line["audit"] == "limit" and line.get("sid") == sid for line in lines)


def pour(client: Wire, data: bytes) -> None:
    """Send until nobody takes it any more."""
    with contextlib.suppress(OSError):
        client.tcp.sendall(data)


@pytest.mark.parametrize("kind", NO_MESSAGES)
def test_what_is_no_message_counts_too(server, kind):
    """Two thousand of them at once are too many, a few now and then are not."""
    with opened(server) as client:
        pour(client, NO_MESSAGES[kind] * 20)
        pour(client, frame("40/jobs,"))
        pour(client, NO_MESSAGES[kind] * 2_000)
        with contextlib.suppress(OSError):
            assert client.until_closed() in (POLICY, None)
        wait_for(lambda: is_noted(server, client.hello["sid"]))


def test_empty_parts_of_a_message_count(server):
    """They carry nothing, and there is no end of them."""
    with opened(server) as client:
        pour(client, frame("4", fin=False) + frame(b"", 0, fin=False) * 2_000)
        with contextlib.suppress(OSError):
            assert client.until_closed() in (POLICY, None)
        wait_for(lambda: is_noted(server, client.hello["sid"]))


def test_a_message_in_parts_is_not_larger_than_one_in_one_piece(server):
    """The same limit on both ways in."""
    with opened(server) as client:
        part = b"x" * 1_000
        pour(client, frame(part, 1, fin=False) + frame(part, 0, fin=False) * 9)
        with contextlib.suppress(OSError):
            assert client.until_closed() in (TOO_BIG, None)


def test_bytes_count_however_few_the_frames(server):
    """180 KB at once are what these limits allow."""
    with opened(server) as client:
        pour(client, frame("6" + "x" * 8_000) * 40)
        with contextlib.suppress(OSError):
            assert client.until_closed() in (POLICY, None)
        wait_for(lambda: is_noted(server, client.hello["sid"]))


def test_packets_that_are_posted_count(server):
    """By number, not by request."""
    polling = Polling(server)
    statuses = [polling.post(*["3"] * 300).status for _ in range(4)]
    assert statuses[0] == 200
    assert statuses[-1] == 400
    assert is_noted(server, polling.sid)


def test_a_client_within_its_budget_is_left_alone(server):
    """A burst, and then a few: time pays."""
    with opened(server) as client:
        for _ in range(3):
            client.tcp.sendall(NO_MESSAGES["WebSocket pings"] * 100)
            for _ in range(100):
                assert client.read_frame()[0] == PONG
        client.send("40/nowhere,")
        assert client.wait_for("44/nowhere,")


def test_requests_in_a_row_on_one_connection_are_paced(server):
    """A thousand lie there; others are answered meanwhile, and the connection has an end."""
    with socket.create_connection(("127.0.0.1", server.port), 20) as tcp:
        tcp.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n" * 1_000)
        began = time.monotonic()
        for _ in range(5):
            assert http("GET", f"{server.url}/healthz", timeout=5).status == 200
        assert time.monotonic() - began < 2
        answers = b""
        with contextlib.suppress(ConnectionResetError):
            while data := tcp.recv(65_536):
                answers += data
    assert 200 < answers.count(b"HTTP/1.1 200") < 1_000


@pytest.mark.parametrize(
    "body",
    [
        b"0x5\r\nhello\r\n0\r\n\r\n",
        b"5\nhello\n0\n\n",
        b"5\r\nhelloJUNK\r\n0\r\n\r\n",
        b"5" * 4_000,
        b"0\r\n" + b"X: y\r\n" * 3_000 + b"\r\n",
        b"0\r\n" + b"X" * 20_000,
        b"ffffffffffffffff\r\n",
    ],
)
def test_chunks_are_read_strictly_and_no_line_without_a_bound(server, body):
    """400, and nothing after it is a request."""
    head = b"POST /healthz HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), 10) as tcp:
        answers = b""
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            tcp.sendall(head + body + b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
            while data := tcp.recv(65_536):
                answers += data
    assert answers == b"" or answers.startswith(b"HTTP/1.1 400")
    assert answers.count(b"HTTP/1.1") <= 1


def chunked(stack: Stack, target: str, body: bytes, *fields: str) -> bytes:
    """The answer to a body in chunks."""
    head = [f"POST {target} HTTP/1.1", "Host: a", "Transfer-Encoding: chunked", "Connection: close", *fields]
    with socket.create_connection(("127.0.0.1", stack.port), 10) as tcp:
        tcp.sendall("\r\n".join([*head, "", ""]).encode())
        for start in range(0, len(body), 7):
            piece = body[start : start + 7]
            tcp.sendall(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        tcp.sendall(b"0\r\n\r\n")
        answer = b""
        while data := tcp.recv(65_536):
            answer += data
    return answer


def test_a_body_in_chunks_is_a_body(server):
    """For a poll's packets as for a route's JSON."""
    polling = Polling(server)
    answer = chunked(server, f"/socket.io/?EIO=4&transport=polling&sid={polling.sid}", b"40/nowhere,")
    assert answer.startswith(b"HTTP/1.1 200")
    assert polling.wait_for("44/nowhere,")
    refused = chunked(server, "/api/jobs/publish", b"{}", "Content-Type: application/json")
    assert refused.startswith((b"HTTP/1.1 401", b"HTTP/1.1 400"))


def test_nobody_is_closed_without_a_reason(server):
    """A whole session after all that, and no traceback."""
    with opened(server) as client, contextlib.suppress(Closed):
        client.send("40/nowhere,")
        assert client.wait_for("44/nowhere,")
    assert "Traceback" not in server.logs()
