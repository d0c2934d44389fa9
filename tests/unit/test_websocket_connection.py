"""One client's writing and reading on a real socket pair; poller, wheel and turns are stand-ins."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from typing import Any

import engineio
import pytest
from engineio.packet import MESSAGE, Packet
from wsproto.frame_protocol import FrameProtocol

from jobcast.server.delivery.direct import SLOW_AFTER_BYTES
from jobcast.server.delivery.write_batch import WriteBatch
from jobcast.server.protocol.events import Event
from jobcast.server.protocol.inbound_budget import InboundBudget
from jobcast.server.websocket.connection import BACKLOG_MESSAGES, WebSocketConnection
from jobcast.server.websocket.epoll_events import IN, OUT


class Poller:
    """Notes what a client asks to be told about."""

    def __init__(self) -> None:
        self.events: dict[int, int] = {}

    def change(self, descriptor: int, events: int) -> None:
        self.events[descriptor] = events

    def forget(self, descriptor: int) -> None:
        self.events.pop(descriptor, None)


class TimerWheel:
    def __init__(self) -> None:
        self.time = 100.0
        self.added: list[float] = []

    def now(self) -> float:
        return self.time

    def add(self, timed: object, after: float) -> None:
        self.added.append(after)


class Scheduler:
    """Runs slow work when the test says so."""

    def __init__(self) -> None:
        self.work: list[Callable[[], None]] = []

    def slow(self, work: Callable[[], None]) -> None:
        self.work.append(work)

    def take(self) -> None:
        while self.work:
            self.work.pop(0)()


class ServerContext:
    def __init__(self) -> None:
        self.engine = engineio.Server(async_mode="threading")
        self.poller, self.timers, self.scheduler, self.write_batch = (
            Poller(),
            TimerWheel(),
            Scheduler(),
            WriteBatch(),
        )
        self.budget = InboundBudget(frames_per_second=10, bytes_per_second=1e6, seconds=40)
        self.environs: dict[str, Any] = {}
        self.heard: list[tuple[str, Any]] = []
        self.engine.on("message", lambda sid, data: self.heard.append(("message", data)))
        self.engine.on("disconnect", lambda sid, reason: self.heard.append(("disconnect", reason)))


@pytest.fixture
def context() -> ServerContext:
    return ServerContext()


@pytest.fixture
def far(context) -> Iterator[socket.socket]:
    """The browser's end; the client object is ``house.client``."""
    near, far = socket.socketpair()
    near.setblocking(False)
    near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    far.settimeout(5)
    context.client = WebSocketConnection(context, near, "eio")
    context.engine.sockets["eio"] = context.client
    yield far
    near.close()
    far.close()


def event(number: int, size: int = 10) -> Event:
    return Event(b"/jobs", b"e", json.dumps({"n": number, "fill": "x" * size}).encode())


def masked(opcode: int, payload: bytes, fin: bool = True) -> bytes:
    first = (0x80 if fin else 0) | opcode
    return bytes((first, 0x80 | len(payload))) + b"\0\0\0\0" + payload


def messages(data: bytes) -> list[Any]:
    protocol = FrameProtocol(client=True, extensions=[])
    protocol.receive_bytes(data)
    return [frame.payload for frame in protocol.received_frames()]


def numbers(data: bytes) -> list[int]:
    return [json.loads(text[len("42/jobs,") :])[1]["n"] for text in messages(data)]


def test_what_is_offered_goes_out_with_the_flush_in_one_piece(context, far):
    """In order, and nothing of it before."""
    for number in range(5):
        assert context.client.offer(event(number))
    far.setblocking(False)
    with pytest.raises(BlockingIOError):
        far.recv(1)
    context.write_batch.flush()
    assert numbers(far.recv(65536)) == [0, 1, 2, 3, 4]


def test_an_answer_does_not_overtake_what_was_offered_before_it(context, far):
    """Both have one way out."""
    context.client.offer(event(1))
    context.client.send(Packet(MESSAGE, "answer"))
    context.write_batch.flush()
    assert [text[:2] for text in messages(far.recv(65536))] == ["42", "4a"]


def test_an_answer_alone_goes_out_at_once(context, far):
    """No flush is needed for it."""
    context.client.send(Packet(MESSAGE, "answer"))
    assert messages(far.recv(65536)) == ["4answer"]


def test_what_the_kernel_does_not_take_goes_out_later_in_order(context, far):
    """The poller is asked for writing only as long as something waits."""
    for number in range(60):
        context.client.offer(event(number, 1000))
    context.write_batch.flush()
    descriptor = context.client.tcp.fileno()
    assert context.poller.events[descriptor] & OUT
    assert context.client.buffered > 0
    received = b""
    while context.client.buffered:
        received += far.recv(65536)
        context.client.ready(OUT)
    assert not context.poller.events[descriptor] & OUT
    far.setblocking(False)
    try:
        while piece := far.recv(65536):
            received += piece
    except BlockingIOError:
        pass
    assert numbers(received) == list(range(60))


def test_a_client_that_does_not_read_is_offered_no_more_than_its_room(context, far):
    """And takes again when it has read."""
    taken = 0
    while context.client.offer(event(taken, 1000)):
        taken += 1
        assert taken < 10_000
    assert SLOW_AFTER_BYTES <= context.client.buffered < SLOW_AFTER_BYTES + 2000
    assert not context.client.has_room
    while not context.client.has_room:
        far.recv(65536)
        context.client.ready(OUT)
    assert context.client.offer(event(taken))


def test_a_client_that_lets_answers_pile_up_is_cut_off(context, far):
    """They cannot be read again; its handlers hear of it."""
    for _ in range(400):
        if not context.poller.events and context.heard:
            break
        context.client.send(Packet(MESSAGE, "x" * 1000))
        context.scheduler.take()
        if context.client.closed:
            break
    assert context.heard == [("disconnect", "transport close")]
    assert "eio" not in context.engine.sockets


def test_closing_lets_what_waits_go_out_first(context, far):
    """Then both farewells, and nothing after them."""
    context.client.offer(event(1))
    context.client.close(wait=False)
    seen = messages(far.recv(65536))
    assert seen[0].startswith("42/jobs")
    assert seen[1] == "1"
    assert seen[2][0] == 1000
    assert far.recv(1) == b""
    assert context.heard == [("disconnect", "server disconnect")]


def test_messages_are_handled_in_order_however_they_arrive(context, far):
    """Byte by byte, a ping in the middle of a fragmented message included."""
    stream = (
        masked(1, b"4one")
        + masked(1, b"4t", fin=False)
        + masked(9, b"ping")
        + masked(0, b"wo")
        + masked(1, b"3")
        + masked(1, "4drei €".encode())
    )
    for byte in stream:
        far.send(bytes((byte,)))
        context.client.ready(IN)
    context.scheduler.take()
    assert context.heard == [("message", "one"), ("message", "two"), ("message", "drei €")]
    assert far.recv(100) == b"\x8a\x04ping"


def test_an_idle_client_keeps_no_parser(context, far):
    """It is what most of its memory would be."""
    far.send(masked(1, b"4a")[:3])
    context.client.ready(IN)
    assert context.client._inbound is not None
    far.send(masked(1, b"4a")[3:])
    context.client.ready(IN)
    assert context.client._inbound is None


def test_a_client_that_sends_faster_than_it_is_served_is_not_read_from(context, far):
    """Until its backlog has gone down again."""
    far.send(masked(1, b"4x") * BACKLOG_MESSAGES)
    context.client.ready(IN)
    descriptor = context.client.tcp.fileno()
    assert not context.poller.events[descriptor] & IN
    context.scheduler.take()
    assert context.poller.events[descriptor] & IN
    assert len(context.heard) == BACKLOG_MESSAGES


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (b"\x81\x01a", 1002),
        (masked(3, b"x"), 1002),
        (b"\xc1" + masked(1, b"4x")[1:], 1002),
        (masked(1, b"\xff\xfe"), 1007),
        (b"\x81\xff" + (70_000_000).to_bytes(8, "big") + b"\0\0\0\0" + b"4" * 60_000, None),
    ],
    ids=["unmasked", "unknown opcode", "compressed", "not UTF-8", "too big"],
)
def test_what_is_no_good_websocket_is_closed_with_the_right_code(context, far, sent, code):
    """And its handlers hear of it, once."""
    context.engine.max_http_buffer_size = 50_000
    for start in range(0, len(sent), 2000):
        far.send(sent[start : start + 2000])
        context.client.ready(IN)
    context.scheduler.take()
    assert messages(far.recv(65536))[-1][0] == (code or 1009)
    assert [name for name, _ in context.heard] == ["disconnect"]


def test_a_client_that_does_not_answer_a_ping_is_parted_with(context, far):
    """One that does is pinged again."""
    client, timers, engine_io = context.client, context.timers, context.engine
    assert client.tick(timers.time) == engine_io.ping_timeout
    far.send(masked(1, b"3"))
    client.ready(IN)
    timers.time += engine_io.ping_interval
    assert client.tick(timers.time) == engine_io.ping_timeout
    timers.time += engine_io.ping_timeout
    client.tick(timers.time)
    context.scheduler.take()
    assert context.heard == [("disconnect", "ping timeout")]
    assert [m for m in messages(far.recv(65536)) if isinstance(m, str)] == ["2", "2", "1"]
