"""Nonsense on every way in, while a watcher has to be told everything; ``JOBCAST_FUZZ=long`` for all of it.

Nothing of it may end in a traceback, a hang or an answer of 500, and nobody else may notice.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import not_a_server_error

from jobcast.models import Notification
from tests.fuzz import nonsense
from tests.stack import Stack, http, wait_for
from tests.wire import TARGET, Closed, Polling, Wire, frame, metric, opening

IS_LONG = os.environ.get("JOBCAST_FUZZ") == "long"
#: Inputs of the short form, and how many times as many the long form sends.
TIMES = 60 if IS_LONG else 1
START = int(os.environ.get("JOBCAST_FUZZ_SEED", "0"))
#: Seconds after which an answer counts as a hang.
PATIENCE = 10.0

tally: dict[str, int] = {}


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A store and a web process; no worker."""
    running = Stack(tmp_path_factory.mktemp("fuzz"), JOBCAST_PING_INTERVAL="2", JOBCAST_PING_TIMEOUT="2")
    try:
        running.valkey.start()
        running.start_web()
        yield running
        wait_for(lambda: metric(running, "clients") == 0, 60, "all clients to be gone")
    finally:
        running.stop()
        for name, count in sorted(tally.items()):
            print(f"{name}: {count} inputs")
        print(f"together: {sum(tally.values())} inputs")


@pytest.fixture(autouse=True)
def others_notice_nothing(target: Stack) -> Iterator[None]:
    """A bystander is sent numbered notifications all the while and receives each of them, once, in order."""
    user, stop, counter = f"bystander{time.monotonic_ns()}", threading.Event(), itertools.count()
    bystander = Wire(target.port).open().join("/notifications")
    Wire.opened.remove(bystander)
    assert bystander.call("/notifications", "subscribe-user", user)["ok"]
    seen: list[str] = []

    def keep_sending() -> None:
        while not stop.is_set():
            note = Notification(id=f"n{next(counter)}", type="alert", title="t", message="m", severity="info")
            target.ledger.append_notification(user, note)
            time.sleep(0.02)

    def keep_reading() -> None:
        with contextlib.suppress(Closed, OSError):
            while True:
                seen.append(json.loads(bystander.wait_for("42/notifications,")[17:])[1]["id"])

    threads = [threading.Thread(target=work) for work in (keep_sending, keep_reading)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        threads[0].join()
        sent = next(counter)
        wait_for(lambda: len(seen) >= sent or not threads[1].is_alive(), what="all notifications")
        bystander.send("1")
        threads[1].join()
        bystander.close()
        while Wire.opened:
            Wire.opened.pop().close()
    assert seen == [f"n{n}" for n in range(sent)]
    assert "Traceback" not in target.logs()
    assert "error of our own" not in target.logs()
    wait_for(lambda: metric(target, "subscriptions") == 0, what="all subscriptions to end")
    assert metric(target, "clients_direct") == 0


def count(name: str, inputs: int) -> None:
    tally[name] = tally.get(name, 0) + inputs


def connected(target: Stack, *, stock: bool = False) -> Wire:
    """A WebSocket client on all namespaces; on the stock path by way of a connection that was kept."""
    client = Wire(target.port, timeout=PATIENCE)
    if stock:
        client.tcp.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        size = int(client.head().lower().split("content-length: ")[1].split("\r\n")[0])
        client._take(size)
    joining = b"".join(frame(f"40{name}," if name else "40") for name in nonsense.NAMESPACES)
    return client.open(after=b"" if stock else joining)


def send_and_drain(client: Wire, data: bytes) -> None:
    """Send it all, read what comes, and be sure that the other side ends it or still answers."""
    reader = threading.Thread(target=_drain, args=(client,))
    reader.start()
    with contextlib.suppress(OSError):
        client.tcp.sendall(data)
        client.tcp.sendall(frame(b"\x03\xe8", 8))
    reader.join(PATIENCE)
    assert not reader.is_alive(), "neither closed nor answered"
    client.close()


def _drain(client: Wire) -> None:
    with contextlib.suppress(OSError):
        while client.tcp.recv(65_536):
            pass


def test_any_event_with_any_arguments(target):
    """Well formed, on every namespace, with and without ack; the connection stays."""
    for rng in nonsense.seeds(START, 5 * TIMES):
        client = connected(target)
        events = [nonsense.event(rng) for _ in range(200)]
        send_and_drain(
            client, b"".join(frame(e) for e in events) + frame('42/jobs,9["unsubscribe-job","end"]')
        )
        count("events", len(events))


def test_events_are_answered_to_the_end(target):
    """After any of them the same client is served as before."""
    rng = random.Random(START)
    client = connected(target)
    for _ in range(3 * TIMES):
        for _ in range(50):
            client.send(nonsense.event(rng))
        assert client.call("/jobs", "unsubscribe-job", "end")["ok"]
        count("events", 50)


@pytest.mark.parametrize("stock", [False, True], ids=["door", "stock"])
def test_any_packet(target, stock):
    """Engine.IO and Socket.IO packets, good, mangled and none at all; the first bad one ends a connection."""
    for rng in nonsense.seeds(START, (15 if stock else 60) * TIMES):
        client = connected(target, stock=stock)
        found = [nonsense.packet(rng) for _ in range(rng.randrange(1, 8))]
        send_and_drain(client, b"".join(frame(nonsense.encodable(p), 1) for p in found))
        count(f"connections with any packets, {'stock' if stock else 'door'}", 1)


@pytest.mark.parametrize("stock", [False, True], ids=["door", "stock"])
def test_any_bytes_after_the_opening(target, stock):
    """Truncated, oversized, unmasked, bad UTF-8, wrong opcodes, bad closes; in any order."""
    for rng in nonsense.seeds(START, (15 if stock else 60) * TIMES):
        client = connected(target, stock=stock)
        found = [nonsense.frames(rng) for _ in range(rng.randrange(1, 6))]
        send_and_drain(client, b"".join(found))
        count(f"connections with any bytes, {'stock' if stock else 'door'}", 1)


@pytest.mark.parametrize("stock", [False, True])
def test_thousands_of_tiny_frames(target, stock):
    """In one go, each a message that means nothing: a burst is answered, more than that is the end."""
    for _ in range(1 + TIMES // 20):
        client = connected(target, stock=stock)
        if stock:
            client.join("/jobs")
        client.tcp.sendall(nonsense.tiny_frames(4_000))
        client.send('42/jobs,9["unsubscribe-job","end"]')
        assert client.wait_for("43/jobs,9[")
        with contextlib.suppress(OSError):
            client.tcp.sendall(nonsense.tiny_frames(10_000))
            assert client.until_closed() in (1008, None)
        count("tiny frames", 14_000)


def test_any_framing_of_a_request(target):
    """Answered or closed, never with a 500, whatever follows in the same segment."""
    for rng in nonsense.seeds(START, 100 * TIMES):
        with socket.create_connection(("127.0.0.1", target.port), PATIENCE) as tcp:
            tcp.sendall(nonsense.framed_request(rng) + nonsense.framed_request(rng))
            tcp.shutdown(socket.SHUT_WR)
            answer = b""
            with contextlib.suppress(ConnectionResetError):
                while data := tcp.recv(65_536):
                    answer += data
        assert b"HTTP/1.1 500" not in answer
        count("framings of requests", 1)


def test_any_body_of_a_poll(target):
    """200 or 400, never 500, and a session that was ended stays so."""
    for rng in nonsense.seeds(START, 60 * TIMES):
        polling = Polling(target)
        polling.post("40/jobs,")
        for _ in range(3):
            answer = polling.post(nonsense.body(rng))
            assert answer.status in (200, 400), answer
            count("bodies", 1)
        polling.post("1")


def test_any_query_of_engine_io(target):
    """Any method, transport, version and session."""
    rng = random.Random(START)
    values = ("", "4", "3", "polling", "websocket", "x" * 3_000, "%00", "%ff", "[", "a&a=b", "-1", "1e9")
    for _ in range(60 * TIMES):
        names = rng.sample(("EIO", "transport", "sid", "j", "t", "b64"), rng.randrange(6))
        query = "&".join(f"{name}={rng.choice(values)}" for name in names)
        if "EIO=4" in query and "sid=" not in query:
            query += "&sid=nobody"
        method = rng.choice(("GET", "POST", "PUT", "OPTIONS", "DELETE", "HEAD"))
        answer = http(method, f"{target.url}/socket.io/?{query}", b"4" if method == "POST" else None)
        assert answer.status in (200, 400, 404, 405, 414), (method, query, answer)
        count("queries", 1)


def test_any_opening_request(target):
    """Mangled heads: answered, refused or closed; never left alone with a whole request."""
    rng = random.Random(START)
    good = opening(TARGET, Origin="http://127.0.0.1", Cookie="a=b")
    for _ in range(100 * TIMES):
        data = bytearray(good)
        for _ in range(rng.randrange(1, 4)):
            place = rng.randrange(len(data))
            data[place : place + rng.randrange(3)] = rng.randbytes(rng.randrange(3))
        with socket.create_connection(("127.0.0.1", target.port), PATIENCE) as tcp:
            tcp.sendall(bytes(data) + b"\r\n\r\n")
            tcp.shutdown(socket.SHUT_WR)
            with contextlib.suppress(ConnectionResetError):
                while tcp.recv(65_536):
                    pass
        count("openings", 1)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_every_route_of_the_openapi_document(target):
    """schemathesis: anything the document allows and much that it does not; never a 5xx."""
    schema = schemathesis.openapi.from_url(f"{target.url}/openapi.json")
    operations = [found.ok() for found in schema.get_all_operations()]
    assert len(operations) > 10
    for operation in operations:
        for mode in schemathesis.GenerationMode:
            _fuzzed(operation, mode)


def _fuzzed(operation: Any, mode: Any) -> None:
    @settings(
        max_examples=10 * TIMES,
        deadline=None,
        database=None,
        derandomize=not IS_LONG,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def holds(case: Any) -> None:
        count("requests of the OpenAPI document", 1)
        case.call_and_validate(checks=[not_a_server_error], timeout=PATIENCE)

    try:
        holds()
    except Unsatisfiable:
        assert mode is schemathesis.GenerationMode.NEGATIVE  # nothing could be wrong with it
