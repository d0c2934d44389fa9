"""A packet or the end of the connection; errors of our own handlers are something else."""

from __future__ import annotations

import contextlib
import io
import logging
from types import SimpleNamespace
from typing import Any

import pytest
import socketio
from hypothesis import given
from hypothesis import strategies as st

from jobcast.server.protocol.inbound_budget import InboundBudget
from jobcast.server.protocol.packets import BadPacket, StrictPacket, decoded
from jobcast.server.socketio.packet_guard import guard_packets

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.text(max_size=60) | st.binary(max_size=60) | st.from_regex(r"[0-7]\d?-?(/\w*,)?\d*[\[{].*"))
def test_no_input_raises_anything_but_a_bad_packet(encoded):
    """Of either protocol."""
    for read in (decoded, lambda data: StrictPacket(encoded_packet=data)):
        with contextlib.suppress(BadPacket):
            read(encoded)


@given(st.text(min_size=1, max_size=10), st.lists(JSON, max_size=3), st.none() | st.integers(0, 10**6))
def test_what_the_library_encodes_is_read_again(event, arguments, number):
    """Events and acks, with any arguments."""
    for kind, data in ((2, [event, *arguments]), (3, arguments)):
        if kind == 3 and number is None:
            continue
        packet = StrictPacket(kind, data=data, namespace="/jobs", id=number)
        again = StrictPacket(encoded_packet=packet.encode())
        assert (again.packet_type, again.namespace, again.id, again.data) == (kind, "/jobs", number, data)


class Client:
    """An Engine.IO socket that only notes that it was closed."""

    def __init__(self, sid: str) -> None:
        self.sid = sid
        self.connected, self.upgraded, self.closing, self.closed = True, False, False, False
        self.reasons: list[str] = []

    def send(self, packet: object) -> None:
        pass

    def close(self, wait: bool, abort: bool, reason: str) -> None:
        self.closed = True
        self.reasons.append(reason)


@pytest.fixture
def server() -> socketio.Server:
    """A guarded one, with a handler that works and one that does not."""
    made = socketio.Server(
        async_mode="threading", async_handlers=False, serializer=StrictPacket, namespaces=["/"]
    )
    made.manager_initialized = True
    made.told = []
    made.on("works", lambda sid, *arguments: made.told.append(arguments))
    made.on("breaks", lambda sid: [].pop())
    guard_packets(made, InboundBudget(1e6, 1e9, 10))
    made.eio.sockets["eio"] = Client("eio")
    made.environ["eio"] = {}
    tell(made, "0")
    return made


def tell(server: socketio.Server, data: str | bytes) -> None:
    server.eio._trigger_event("message", "eio", data, run_async=False)


def test_a_bad_packet_closes_its_client_and_logs_no_traceback(server, caplog):
    """And nothing it sends afterwards is handled."""
    caplog.set_level(logging.INFO)
    tell(server, "2{}")
    assert server.eio.sockets["eio"].reasons == ["transport error"]
    tell(server, '2["works"]')
    assert server.told == []
    assert not [record for record in caplog.records if record.exc_info]


def test_an_error_of_a_handler_is_logged_in_full_and_closes_nobody(server, caplog):
    """It is ours to see."""
    tell(server, '2["breaks"]')
    assert [record for record in caplog.records if record.exc_info]
    tell(server, '2["works",1]')
    assert server.told == [(1,)]
    assert not server.eio.sockets["eio"].closed


def test_attachments_are_taken_and_nothing_else_in_their_place(server):
    """Text, another packet, is the end."""
    tell(server, '51-["works",{"_placeholder":true,"num":0}]')
    tell(server, b"x")
    assert server.told == [(b"x",)]
    tell(server, '51-["works",{"_placeholder":true,"num":0}]')
    tell(server, '2["works"]')
    assert server.eio.sockets["eio"].closed
    assert server.told == [(b"x",)]


def posted(server: socketio.Server, body: bytes, length: int | None = None) -> str:
    """The status of a POST of the client."""
    statuses: list[str] = []
    environ: dict[str, Any] = {
        "REQUEST_METHOD": "POST",
        "QUERY_STRING": "EIO=4&transport=polling&sid=eio",
        "CONTENT_LENGTH": str(len(body) if length is None else length),
        "wsgi.input": io.BytesIO(body),
    }
    server.eio.handle_request(environ, lambda status, headers: statuses.append(status))
    return statuses[0]


@pytest.mark.parametrize(
    ("body", "length"),
    [
        (b"abc", None),
        (b"\xff", None),
        (b"d=", None),
        (b"2", None),
        (b"0{}", None),
        (b"x", 2_000_000),
        (b"4", 9),
    ],
)
def test_a_body_that_is_no_payload_is_refused_and_closes(server, body, length):
    """Also one that breaks off."""
    client = server.eio.sockets["eio"]
    client.handle_post_request = lambda environ: pytest.fail("engineio was asked")
    assert posted(server, body, length).startswith("400 ")
    assert client.reasons == ["transport error"]
    assert "eio" not in server.eio.sockets


def test_a_good_body_is_left_for_engineio_to_read(server):
    """As it came."""
    bodies: list[bytes] = []
    client = server.eio.sockets["eio"]
    client.handle_post_request = lambda environ: bodies.append(environ["wsgi.input"].read())
    assert posted(server, b"3\x1e42[]").startswith("200 ")
    assert bodies == [b"3\x1e42[]"]


def test_a_client_that_has_gone_is_refused_like_an_unknown_one(server):
    """engineio would raise KeyError."""
    server.eio.sockets["eio"].closed = True
    assert posted(server, b"3").startswith("400 ")


def test_only_those_who_poll_are_looked_at(server):
    """A WebSocket's session, or nobody's, is engineio's to refuse."""
    server.eio.sockets["eio"] = SimpleNamespace(sid="eio", connected=True, upgraded=True, closed=False)
    assert posted(server, b"abc").startswith("400 ")
