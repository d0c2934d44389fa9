"""WebSockets over real sockets, with clients that behave badly: slow, piecemeal, rude and sudden."""

from __future__ import annotations

import itertools
import json
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from jobcast.embedded import free_port
from jobcast.models import Notification
from tests.stack import Stack, http, wait_for
from tests.watcher import Watcher
from tests.wire import CLOSE, PING, PONG, TARGET, TEXT, Closed, Polling, Wire, frame, metric, opening, wire

PROBE = frame("2probe")


@pytest.fixture(scope="module")
def acceptor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A store and a web process; no worker."""
    running = Stack(tmp_path_factory.mktemp("acceptor"))
    try:
        running.valkey.start()
        running.start_web()
        yield running
    finally:
        running.stop()


@pytest.fixture(autouse=True)
def nothing_is_left(acceptor: Stack) -> Iterator[None]:
    """After every test all clients are gone, each told once, and the log has no traceback."""
    yield
    while Wire.opened:
        Wire.opened.pop().close()
    wait_for(lambda: metric(acceptor, "clients") == 0, what="all clients to be gone")
    assert metric(acceptor, "subscriptions") == 0
    assert "Traceback" not in acceptor.logs()


def notes(stack: Stack, user: str, numbers: range, size: int = 10) -> None:
    for n in numbers:
        note = Notification(id=f"n{n}", type="alert", title="t", message="m" * size, severity="info")
        stack.ledger.append_notification(user, note)


def numbers(client: Wire, count: int) -> list[str]:
    """The ids of the next notifications."""
    event = '42/notifications,["notification:received",'
    return [json.loads(client.wait_for(event)[len(event) : -1])["id"] for _ in range(count)]


def follow(client: Wire, user: str) -> None:
    assert client.call("/notifications", "subscribe-user", user)["ok"]


def test_a_client_that_reads_one_byte_at_a_time_gets_everything_in_order(acceptor):
    """Frames are put together on its side; nothing is lost or mixed up."""
    with wire(acceptor, "/notifications", buffer=2_048) as client:
        follow(client, "slow-reader")
        client.at_once = 1
        notes(acceptor, "slow-reader", range(40))
        assert numbers(client, 40) == [f"n{n}" for n in range(40)]


def test_a_client_that_writes_one_byte_at_a_time_is_understood(acceptor):
    """The opening request, and then every frame."""
    client = Wire(acceptor.port)
    subscribe = '42/jobs,7["subscribe-job","bytewise"]'
    parts = [opening(), frame("40/jobs,"), frame(subscribe), frame("ping!", PING)]
    for byte in b"".join(parts):
        client.tcp.sendall(bytes([byte]))
        time.sleep(0.0003)
    assert client.head().startswith("HTTP/1.1 101 ")
    assert client.read().startswith("0{")
    assert json.loads(client.wait_for("43/jobs,7")[9:])[0]["jobId"] == "bytewise"
    assert client.read_frame() == (PONG, b"ping!")
    client.close()


def test_a_long_message_of_single_bytes_is_understood(acceptor):
    """Each byte in a read of its own; the number of pieces is no limit."""
    with wire(acceptor, "/jobs") as client:
        message = frame("42/jobs,7" + json.dumps(["subscribe-job", {"jobId": "long", "x": "y" * 3_000}]))
        for byte in message:
            client.tcp.sendall(bytes([byte]))
            time.sleep(0.0001)
        assert client.wait_for("43/jobs,7")


def test_frames_in_the_segment_of_the_opening_request_are_handled(acceptor):
    """In their order, after the OPEN packet."""
    after = frame("40/jobs,") + frame('42/jobs,7["subscribe-job","early"]') + frame("x", PING)
    client = Wire(acceptor.port).open(after=after)
    opcodes = [client.read_frame() for _ in range(2)]
    assert {opcode for opcode, _ in opcodes} == {PONG, TEXT}  # a pong need not wait for handlers
    assert client.wait_for("43/jobs,7")
    client.close()


def test_a_fragmented_message_with_pings_between_is_one_message(acceptor):
    """Each ping is answered at once, with what it carried."""
    with wire(acceptor, "/jobs") as client:
        text = '42/jobs,7["subscribe-job","fragments"]'
        pieces = [text[:5], text[5:6], "", text[6:30], text[30:]]
        for number, piece in enumerate(pieces):
            opcode = TEXT if number == 0 else 0
            last = number == len(pieces) - 1
            client.tcp.sendall(frame(piece.encode(), opcode, fin=last) + frame(f"p{number}", PING))
        found: list[tuple[int, bytes]] = []
        while (TEXT, b"43/jobs,7") not in [(opcode, payload[:9]) for opcode, payload in found]:
            found.append(client.read_frame())
        while len([payload for opcode, payload in found if opcode == PONG]) < 5:
            found.append(client.read_frame())
        assert [payload for opcode, payload in found if opcode == PONG] == [b"p0", b"p1", b"p2", b"p3", b"p4"]


def test_a_close_inside_a_fragmented_message_closes(acceptor):
    """Answered with a close; the half message is no message."""
    with wire(acceptor, "/jobs") as client:
        half = frame(b'42/jobs,7["subscribe-job"', TEXT, fin=False)
        client.tcp.sendall(half + frame(b"\x03\xe8", CLOSE) + frame(b',"x"]', 0))
        assert client.until_closed() == 1000


def test_partial_writes_lose_nothing_and_keep_the_order(acceptor):
    """More than the kernel takes for a client with a tiny buffer, within our own bound."""
    with wire(acceptor, "/notifications", buffer=1_024) as client:
        follow(client, "tiny")
        notes(acceptor, "tiny", range(90), size=2_000)
        assert numbers(client, 90) == [f"n{n}" for n in range(90)]


def test_beyond_the_bound_a_client_is_brought_up_to_date_from_the_ledger(acceptor):
    """What was not piled up for it is read again; in order, nothing twice."""
    users = [f"beyond{n}" for n in range(8)]
    with wire(acceptor, "/notifications", buffer=1_024) as client:
        for user in users:
            follow(client, user)
        for user in users:
            notes(acceptor, user, range(90), size=1_000)
        wait_for(lambda: metric(acceptor, "behind") > 0, what="a client that is behind")
        assert metric(acceptor, "buffered_bytes") < 200_000
        seen: dict[str, list[int]] = {}
        while sum(map(len, seen.values())) < 90 * len(users):
            event = json.loads(client.wait_for("42/notifications,")[17:])[1]
            seen.setdefault(event["epoch"], []).append(event["sequence"])
        assert all(places == list(range(1, 91)) for places in seen.values())


def test_a_half_closed_client_is_gone(acceptor):
    """It has said that it will say no more; its subscriptions end."""
    client = Wire(acceptor.port).open().join("/jobs")
    assert client.call("/jobs", "subscribe-job", "half")["ok"]
    client.tcp.shutdown(socket.SHUT_WR)
    wait_for(lambda: metric(acceptor, "subscriptions") == 0)
    assert client.until_closed() is None
    client.close()


@pytest.mark.parametrize("linger", [b"", b"\x01\x00\x00\x00\x00\x00\x00\x00"], ids=["close", "reset"])
def test_a_client_that_vanishes_in_mid_message_is_forgotten(acceptor, linger):
    """With a FIN or a RST, while it is sent to."""
    clients = [Wire(acceptor.port).open().join("/notifications") for _ in range(5)]
    for client in clients:
        follow(client, "vanishing")
        client.tcp.sendall(frame("42/notifications,")[:7])
        if linger:
            client.tcp.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    notes(acceptor, "vanishing", range(5))
    for client in clients:
        client.close()
    notes(acceptor, "vanishing", range(5, 10))
    wait_for(lambda: metric(acceptor, "subscriptions") == 0)


VIOLATIONS = {
    "unmasked": (b"\x81\x01x", 1002),
    "a reserved bit": (b"\xc1\x81\0\0\0\0x", 1002),
    "a bad opcode": (b"\x83\x81\0\0\0\0x", 1002),
    "bad UTF-8": (frame(b"4\xff", TEXT), 1007),
    "too big": (frame("4" + "x" * 65_536), 1009),
    "too big in its header": (b"\x81\xff" + (2**40).to_bytes(8, "big") + bytes(4) + b"4" * 90_000, 1009),
    "no packet": (frame("abc"), 1002),
    "an empty message": (frame(""), 1002),
    "an unknown packet": (frame("9"), 1002),
    "deep JSON in a packet": (frame("4" + "[" * 60_000), 1002),
    "a normal close": (frame(b"\x03\xe8bye", CLOSE), 1000),
    "a close without a code": (frame(b"", CLOSE), 1000),
    "Engine.IO's CLOSE": (frame("1"), 1000),
}


@pytest.mark.parametrize("name", VIOLATIONS)
def test_every_violation_closes_with_its_code(acceptor, name):
    """And what the client says afterwards does not count."""
    data, code = VIOLATIONS[name]
    with wire(acceptor, "/jobs") as client:
        client.tcp.sendall(data + frame("40/analytics,") + frame('42/jobs,7["subscribe-job","x"]'))
        assert client.until_closed() == code


def test_messages_before_a_close_count_and_messages_after_it_do_not(acceptor):
    """All in one segment."""
    with wire(acceptor, "/notifications") as client:
        read = '42/notifications,["mark-read",{"userId":"last","all":true}]'
        notes(acceptor, "last", range(3))
        client.tcp.sendall(frame(read) + frame(b"\x03\xe8", CLOSE) + frame("40/jobs,"))
        assert client.until_closed() == 1000
    wait_for(lambda: acceptor.get("/api/notifications/last").json()["unreadCount"] == 0)


def test_a_client_that_pings_and_never_reads_is_parted_from(acceptor):
    """Its pongs are not piled up."""
    pings = frame(b"x" * 125, PING) * 8
    with wire(acceptor, buffer=1_024) as client, pytest.raises(OSError):
        all(client.tcp.sendall(pings) is None for _ in range(100_000))
    assert "does not read" in acceptor.logs()


def test_endless_attachments_are_refused(acceptor):
    """At most ten are announced, and nobody waits for a thousand."""
    for announced in ("11", "999999999"):
        with wire(acceptor, "/jobs") as client:
            client.send(f'45{announced}-/jobs,["subscribe-job",{{"_placeholder":true,"num":0}}]')
            assert client.until_closed() == 1000


REFUSED = {
    "a foreign origin": opening(Origin="http://evil.example"),
    "an origin that is no URL": opening(Origin="http://["),
    "another version": opening("/socket.io/?EIO=3&transport=websocket"),
    "no version": opening("/socket.io/?transport=websocket"),
    "another transport": opening("/socket.io/?EIO=4&transport=webtransport"),
    "no transport": opening("/socket.io/?EIO=4&sid=nobody"),
    "an unknown session": opening(TARGET + "&sid=nobody"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_good_opening_is_refused_by_the_stock_path(acceptor, name):
    """400, and the door goes on."""
    client = Wire(acceptor.port)
    client.tcp.sendall(REFUSED[name])
    assert client.head().startswith("HTTP/1.1 400 ")
    client.close()
    with wire(acceptor, "/jobs") as other:
        assert other.call("/jobs", "unsubscribe-job", "x")["ok"]


def test_a_request_of_single_bytes_is_answered_by_wsgi(acceptor):
    """And the connection is kept for another one, which opens a WebSocket on the stock path."""
    client = Wire(acceptor.port)
    for byte in b"GET /api/config HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n":
        client.tcp.sendall(bytes([byte]))
        time.sleep(0.0005)
    head = client.head()
    assert head.startswith("HTTP/1.1 200 ")
    size = next(int(x.split(":")[1]) for x in head.split("\r\n") if x.lower().startswith("content-length"))
    assert b"pollingInterval" in client._take(size)
    client.open().join("/jobs")
    assert client.call("/jobs", "subscribe-job", "kept-alive")["ok"]
    assert (metric(acceptor, "clients"), metric(acceptor, "clients_direct")) == (1, 0)
    client.close()


@pytest.mark.parametrize("bad", ["", "abc", "9", "4" + "[" * 5_000, '42{"a":1}'])
def test_the_stock_path_closes_quietly_too(acceptor, bad):
    """What came over a connection that was kept alive."""
    client = Wire(acceptor.port)
    client.tcp.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    size = int(client.head().lower().split("content-length: ")[1].split("\r\n")[0])
    client._take(size)
    client.open().join("/jobs")
    client.send(bad)
    client.until_closed()
    client.close()


def test_python_socketios_client_upgrades_and_loses_nothing(acceptor):
    """Its default transports; numbered notifications are sent all the while."""
    stop = threading.Event()
    counter = itertools.count()

    def keep_sending() -> None:
        while not stop.is_set():
            n = next(counter)
            notes(acceptor, "upgrading", range(n, n + 1))
            time.sleep(0.002)

    sender = threading.Thread(target=keep_sending)
    sender.start()
    try:
        for _ in range(5):
            with Watcher(acceptor.url, "polling,websocket") as watching:
                watching.call("subscribe-user", "upgrading", "/notifications")
                wait_for(lambda w=watching: w.client.transport() == "websocket")
                wait_for(lambda: metric(acceptor, "clients_direct") == 1)
                start = len(watching.of("notification:received"))
                wait_for(lambda w=watching, s=start: len(w.of("notification:received")) > s + 20)
                places = [n["sequence"] for n in watching.of("notification:received")]
                assert places == list(range(places[0], places[0] + len(places)))
    finally:
        stop.set()
        sender.join()


def upgrade(acceptor: Stack, polling: Polling) -> Wire:
    """A WebSocket that has shaken hands for a polling client's session."""
    return Wire(acceptor.port).open(f"{TARGET}&sid={polling.sid}")


def test_what_was_queued_for_the_poll_comes_first_after_the_change(acceptor):
    """And what the client sent in the segment of its last probe packet is handled."""
    polling = Polling(acceptor).join("/notifications")
    polling.post('42/notifications,7["subscribe-user","queued"]')
    polling.wait_for("43/notifications,7")
    client = upgrade(acceptor, polling)
    client.tcp.sendall(PROBE)
    assert client.read() == "3probe"
    notes(acceptor, "queued", range(5))
    time.sleep(0.1)
    rest = frame("40/jobs,") + frame('42/jobs,8["subscribe-job","at-once"]')
    last = frame('42/jobs,9["unsubscribe-job","at-once"]')
    client.tcp.sendall(frame("5") + rest + last[:9])
    client.tcp.sendall(last[9:])
    assert numbers(client, 5) == [f"n{n}" for n in range(5)]
    assert client.wait_for("43/jobs,9")
    assert metric(acceptor, "clients_direct") == 1
    assert polling.get().status == 400
    client.close()


def test_of_two_upgrades_at_once_one_wins(acceptor):
    """The other one is closed and does no harm."""
    polling = Polling(acceptor).join("/jobs")
    first, second = upgrade(acceptor, polling), upgrade(acceptor, polling)
    first.tcp.sendall(PROBE)
    assert first.read() == "3probe"
    second.tcp.sendall(PROBE)
    assert second.until_closed() is None
    first.tcp.sendall(frame("5"))
    assert first.call("/jobs", "subscribe-job", "won")["ok"]
    first.close()
    second.close()


@pytest.mark.parametrize("last", [b"", PROBE, PROBE + frame("4nonsense"), PROBE + b"\x81\x01x", frame("5")])
def test_an_upgrade_that_is_given_up_leaves_the_client_polling(acceptor, last):
    """Closed before, during or instead of the probe."""
    polling = Polling(acceptor).join("/jobs")
    client = upgrade(acceptor, polling)
    client.tcp.sendall(last)
    if last == PROBE:
        assert client.read() == "3probe"
    client.close()
    wait_for(lambda: polling.post('42/jobs,7["subscribe-job","stays"]').text == "OK")
    assert polling.wait_for("43/jobs,7")
    assert polling.post("1").status == 200
    polling.get()


def test_an_upgrade_of_a_session_that_ended_is_refused(acceptor):
    """400, from the stock path."""
    polling = Polling(acceptor).join("/jobs")
    polling.post("1")
    client = Wire(acceptor.port)
    client.tcp.sendall(opening(f"{TARGET}&sid={polling.sid}"))
    assert client.head().startswith("HTTP/1.1 400 ")
    client.close()


@pytest.fixture(scope="module")
def hasty(acceptor: Stack) -> Iterator[int]:
    """The port of a second web process on the same store, with little patience."""
    port = free_port()
    process = acceptor.start_web(port, JOBCAST_HANDSHAKE_SECONDS="1")
    yield port
    process.terminate()
    process.wait(15)
    acceptor.processes.remove(process)


def test_whoever_does_not_say_what_it_wants_is_closed(hasty):
    """After a second here, ten usually."""
    silent = [Wire(hasty) for _ in range(3)]
    for client, said in zip(silent, (b"", opening()[:40], b"GET /sock"), strict=True):
        client.tcp.sendall(said)
    for client in silent:
        with pytest.raises((Closed, ConnectionResetError)):
            client.head()


def test_five_hundred_clients_come_and_go_and_no_descriptor_stays(acceptor):
    """Among them some that are refused, and some that never finish."""

    def descriptors() -> float:
        lines = acceptor.get("/metrics").text.splitlines()
        return next(float(x.split()[1]) for x in lines if x.startswith("process_open_fds "))

    before = descriptors()
    for _ in range(10):
        clients = [Wire(acceptor.port).open() for _ in range(45)]
        odd = [Wire(acceptor.port) for _ in range(5)]
        for client, said in zip(odd, [*list(REFUSED.values())[:4], b"GET /s"], strict=True):
            client.tcp.sendall(said)
        for number, client in enumerate(clients):
            if number % 3:
                client.tcp.sendall(frame(b"\x03\xe8", CLOSE))
            client.close()
        for client in odd:
            client.close()
    wait_for(lambda: descriptors() <= before, 5, "all descriptors to be closed")


def test_a_health_check_is_answered_while_a_thousand_clients_connect(acceptor):
    """Each of them joins and subscribes."""
    clients: list[Wire] = []

    def come() -> None:
        for n in range(1_000):
            client = Wire(acceptor.port)
            joining = frame("40/jobs,") + frame(f'42/jobs,7["subscribe-job","pending_limit{n}"]')
            client.tcp.sendall(opening() + joining)
            clients.append(client)

    coming = threading.Thread(target=come)
    coming.start()
    answers = 0
    while coming.is_alive() or metric(acceptor, "subscriptions") < 1_000:
        assert http("GET", f"{acceptor.url}/healthz").status == 200
        answers += 1
    coming.join()
    assert answers > 1
    assert metric(acceptor, "clients_direct") == 1_000
    for client in clients:
        client.close()
