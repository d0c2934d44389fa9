"""What one client cannot do to the others: limits over real sockets and HTTP, on a process with small ones.

Who is who is said by X-Forwarded-For, as by the one proxy that is trusted here.
"""

from __future__ import annotations

import contextlib
import gc
import json
import socket
import time
import warnings
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
import requests
import socketio
import websocket

from jobcast.embedded import free_port
from jobcast.models import JobStatusUpdate
from tests.stack import Stack, http, wait_for
from tests.watcher import Watcher
from tests.wire import TARGET, Polling, Wire, opening

KEY = "a-key-for-tests-" * 4
LIMITS = {
    # The client library says where it comes from at its first request only.
    "JOBCAST_BIND_POLLING": "false",
    "SOCKETIO_JWT_KEY": KEY,
    "HOST": "127.0.0.1",
    "JOBCAST_PROXY_HOPS": "1",
    "JOBCAST_HANDSHAKE_SECONDS": "1",
    "JOBCAST_LIMIT_CONNECTIONS_PER_ADDRESS": "4",
    "JOBCAST_LIMIT_CONNECTIONS_PER_USER": "2",
    "JOBCAST_LIMIT_PENDING_HANDSHAKES": "2",
    "JOBCAST_LIMIT_HANDSHAKES_PER_MINUTE": "12",
    "JOBCAST_LIMIT_EVENTS_PER_SECOND": "40",
    "JOBCAST_LIMIT_EVENT_BURST": "60",
    "JOBCAST_LIMIT_SUBSCRIPTIONS": "3",
    "JOBCAST_LIMIT_MESSAGE_BYTES": "8192",
    "JOBCAST_LIMIT_REQUESTS_PER_MINUTE": "8",
}


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Valkey and a web process with small limits, behind one proxy: X-Forwarded-For says who is who."""
    running = Stack(tmp_path_factory.mktemp("limited"), **LIMITS)
    try:
        running.valkey.start()
        running.start_web()
        yield running
    finally:
        running.stop()


@pytest.fixture(autouse=True)
def sweep() -> Iterator[None]:
    """The client libraries leave the sockets of refused connections to the garbage collector."""
    yield
    with warnings.catch_warnings(action="ignore", category=ResourceWarning):
        gc.collect()


def token(user: str) -> str:
    return jwt.encode({"sub": user, "exp": time.time() + 60, "scope": "admin"}, KEY, "HS256")


def come_from(address: str) -> dict[str, str]:
    return {"X-Forwarded-For": f"6.6.6.6, {address}"}


def connect(stack: Stack, user: str, address: str = "127.0.0.1", transport: str = "websocket") -> Watcher:
    return Watcher(
        stack.url, transport, auth={"token": token(user)}, headers=come_from(address), reconnection=False
    )


class RawClient:
    """A WebSocket on Engine.IO that says nothing by itself."""

    def __init__(self, stack: Stack, address: str = "127.0.0.1") -> None:
        url = stack.url.replace("http", "ws") + "/socket.io/?EIO=4&transport=websocket"
        self.socket = websocket.create_connection(url, timeout=10, header=come_from(address))
        assert self.socket.recv().startswith("0{")

    def close(self) -> None:
        self.socket.close()

    def wait_for_the_end(self) -> None:
        """Read what the server says until it hangs up; fail when it does not."""
        with contextlib.suppress(websocket.WebSocketConnectionClosedException, ConnectionError):
            while self.socket.recv():
                pass
        self.close()


def refused_handshake(stack: Stack, address: str) -> Any:
    """The answer to one handshake too many, which says when to come back."""
    answer = http("GET", f"{stack.url}/socket.io/?EIO=4&transport=polling", headers=come_from(address))
    assert answer.status == 429, answer
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert int(answer.headers["Retry-After"]) > 0
    assert answer.json()["code"] == "rate-limited"
    return answer.json()


def test_an_address_opens_so_many_connections_and_another_is_another(limited):
    """By WebSocket and by polling; whoever leaves makes room."""
    address = "203.0.113.1"
    watchers = [connect(limited, f"u{n}", address, ("websocket", "polling")[n % 2]) for n in range(4)]
    assert "connections" in refused_handshake(limited, address)["detail"]
    with pytest.raises(websocket.WebSocketBadStatusException, match="429"):
        RawClient(limited, address)
    with connect(limited, "u9", "203.0.113.2"):
        pass
    with watchers.pop():
        pass
    wait_for(lambda: clients(limited) == 3)
    with connect(limited, "u9", address):
        pass
    for watcher in watchers:
        with watcher:
            pass


def clients(stack: Stack) -> float:
    (line,) = (
        line for line in http("GET", f"{stack.url}/metrics").text.splitlines()
        if line.startswith("jobcast_clients ")
    )  # fmt: skip
    return float(line.split()[1])


def test_a_user_opens_so_many_connections_from_wherever(limited):
    """The refusal says when to come back; its transport stays, its namespaces do not."""
    with connect(limited, "ana", "203.0.113.10"), connect(limited, "ana", "203.0.113.11"):
        told: list[Any] = []
        client = socketio.Client(reconnection=False)
        client.on("connect_error", told.append, namespace="/jobs")
        with pytest.raises(socketio.exceptions.ConnectionError):
            client.connect(
                limited.url, namespaces=["/jobs"], auth={"token": token("ana")}, wait_timeout=5,
                transports=["websocket"], headers=come_from("203.0.113.12"),
            )  # fmt: skip
        client.disconnect()
        assert told[0]["data"]["code"] == "rate-limited"
        assert told[0]["data"]["retryAfterMs"] > 0
        with connect(limited, "bo", "203.0.113.12"):
            pass


def test_handshakes_that_lead_nowhere_are_few_and_are_ended(limited):
    """On both transports: silent, and refused by the gate."""
    address = "203.0.113.20"
    silent = RawClient(limited, address)
    polled = f"{limited.url}/socket.io/?EIO=4&transport=polling"
    opened = requests.get(polled, headers=come_from(address), timeout=5)
    sid = json.loads(opened.text[1:])["sid"]
    assert "handshakes" in refused_handshake(limited, address)["detail"]
    forged = '40/jobs,{"token":"forged"}'
    silent.socket.send("4" + forged[1:])
    assert requests.post(f"{polled}&sid={sid}", data=forged, timeout=5).status_code == 200
    silent.wait_for_the_end()
    wait_for(lambda: requests.get(f"{polled}&sid={sid}", timeout=5).status_code == 400)
    with connect(limited, "ana", address):
        pass


def test_an_address_opens_so_many_connections_in_a_minute(limited):
    """However soon it closes them; and nobody gets by through a header of his own."""
    address = "203.0.113.30"
    for _ in range(12):
        RawClient(limited, address).close()
        wait_for(lambda: clients(limited) == 0)
    assert refused_handshake(limited, address)
    liar = {"X-Forwarded-For": f"203.0.113.99, {address}"}
    url = f"{limited.url}/socket.io/?EIO=4&transport=polling"
    assert http("GET", url, headers=liar).status == 429
    with connect(limited, "ana", "203.0.113.31"):
        pass


@pytest.mark.parametrize("transport", ["websocket", "polling"])
def test_a_client_that_sends_too_much_is_told_when_to_go_on(limited, transport):
    """By ack, or else by an event; after that long it is heard again."""
    with connect(limited, f"busy-{transport}", transport=transport) as watcher:
        assert watcher.call("subscribe-job", "j")["ok"]
        for _ in range(100):
            watcher.emit("unsubscribe-job", "j")
        told = wait_for(lambda: watcher.of("subscription-error"))
        assert told[0]["code"] == "rate-limited"
        assert told[0]["jobId"] == "j"
        answer = watcher.call("subscribe-job", "j")
        while not answer["ok"]:
            assert answer["error"]["code"] == "rate-limited"
            time.sleep(answer["error"]["retryAfterMs"] / 1000)
            answer = watcher.call("subscribe-job", "j")


def test_a_client_that_does_not_stop_is_shown_the_door(limited):
    """Told, disconnected, and kept out for a while: the user, from wherever, and nobody else."""
    with connect(limited, "flood", "203.0.113.40") as watcher:
        sids = set(watcher.client.namespaces.values())
        for _ in range(600):
            watcher.emit("whatever", "x" * 100)
        wait_for(lambda: not watcher.client.connected)
        told = watcher.of("subscription-error")[-1]
        assert told["code"] == "rate-limited"
        assert told["retryAfterMs"] == 10_000
    noted = [json.loads(line) for line in limited.logs().splitlines() if line.startswith('{"')]
    ended = [line for line in noted if line["audit"] == "limit" and line.get("sid") in sids]
    assert {(line["user"], line["address"]) for line in ended} == {("flood", "203.0.113.40")}
    assert {line["sid"] for line in ended} == sids
    with pytest.raises(socketio.exceptions.ConnectionError):
        connect(limited, "flood", "203.0.113.41")
    with connect(limited, "calm", "203.0.113.40") as other:  # behind the same address
        assert other.call("subscribe-job", "j")["ok"]


def test_a_client_follows_so_many_topics(limited):
    """One more is refused, one less makes room."""
    with connect(limited, "curious") as watcher:
        answers = [watcher.call("subscribe-job", f"j{n}") for n in range(4)]
        assert [answer["ok"] for answer in answers] == [True, True, True, False]
        assert answers[3]["error"]["code"] == "too-many-subscriptions"
        assert watcher.call("subscribe-job", "j0")["ok"]  # again, for what it has
        watcher.call("unsubscribe-job", "j0")
        assert watcher.call("subscribe-job", "j3")["ok"]


def test_a_message_is_not_larger_than_so_many_bytes(limited):
    """Over a WebSocket the connection ends, over polling the request is refused."""
    raw = RawClient(limited)
    raw.socket.send("4" + "x" * 8192)
    raw.wait_for_the_end()
    polled = f"{limited.url}/socket.io/?EIO=4&transport=polling"
    sid = json.loads(requests.get(polled, timeout=5).text[1:])["sid"]
    assert requests.post(f"{polled}&sid={sid}", data="4" + "x" * 8192, timeout=5).status_code == 400


def test_a_user_makes_so_many_requests_a_minute(limited):
    """By user with a token, by address without; whoever asks after our health always gets an answer."""
    ana = {"Authorization": f"Bearer {token('ana')}"}
    bo = {"Authorization": f"Bearer {token('bo')}"}
    path = f"{limited.url}/api/notifications/ana"
    answers = [http("GET", path, headers=ana | come_from(f"203.0.113.{50 + n}")) for n in range(9)]
    assert [answer.status for answer in answers] == [200] * 8 + [429]
    refused = answers[-1]
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert 0 < int(refused.headers["Retry-After"]) <= 120
    assert refused.json()["code"] == "rate-limited"
    assert http("GET", path, headers=bo | come_from("203.0.113.50")).status == 200
    nobody = [http("GET", path, headers=come_from("203.0.113.70")).status for _ in range(9)]
    assert nobody == [401] * 8 + [429]
    assert http("GET", path, headers=come_from("203.0.113.71")).status == 401
    assert {http("GET", f"{limited.url}/healthz", headers=come_from("203.0.113.70")).status} == {200}


def test_this_machine_is_not_counted_unless_a_setting_says_so(limited):
    """A proxy on it would share its address with everybody."""
    for _ in range(20):
        assert http("GET", f"{limited.url}/api/config").status == 200
    for _ in range(15):
        RawClient(limited).close()
    port = free_port()
    limited.start_web(port, JOBCAST_LIMIT_LOOPBACK="true")
    answers = [http("GET", f"http://127.0.0.1:{port}/api/config").status for _ in range(9)]
    assert answers == [200] * 8 + [429]


def is_hung_up_on(held: socket.socket) -> bool:
    """Send one byte more."""
    try:
        held.sendall(b"x")
    except ConnectionError:
        return True
    return False


@pytest.mark.parametrize("said", [b"POS", b"GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost:"])
def test_a_head_that_takes_too_long_is_not_waited_for(limited, said):
    """Not even when a byte of it comes now and then."""
    with hold(limited, said) as held:
        wait_for(lambda: is_hung_up_on(held), 8)


def test_a_connection_that_is_kept_may_be_silent_for_longer(limited):
    """A browser that has nothing to ask for a while."""
    with hold(limited) as held:
        for pause in (1.5, 0.0):  # a head may take one second
            held.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert held.recv(4096).startswith(b"HTTP/1.1 200")
            time.sleep(pause)


@pytest.fixture
def crowded(tmp_path) -> Iterator[Stack]:
    """A web process where this machine counts, and may have five connections that are no WebSockets."""
    stack = Stack(
        tmp_path,
        JOBCAST_LIMIT_LOOPBACK="true",
        JOBCAST_LIMIT_CONNECTIONS_PER_ADDRESS="5",
        JOBCAST_HANDSHAKE_SECONDS="60",
    )
    try:
        stack.valkey.start()
        stack.start_web()
        yield stack
    finally:
        stack.stop()


def hold(stack: Stack, said: bytes = b"") -> socket.socket:
    """A connection that says this and no more."""
    held = socket.create_connection(("127.0.0.1", int(stack.url.rpartition(":")[2])), 5)
    held.sendall(said)
    return held


def change(stack: Stack) -> Wire:
    """A client that has changed from polling to WebSocket."""
    client = Wire(stack.port).open(f"{TARGET}&sid={Polling(stack).sid}")
    client.send("2probe")
    assert client.read() == "3probe"
    client.send("5")
    client.join("/jobs")
    return client


def is_turned_away(stack: Stack) -> bool:
    with hold(stack) as held:
        held.settimeout(0.3)
        try:
            return held.recv(1) == b""
        except TimeoutError:
            return False
        except ConnectionResetError:
            return True


def newest(watching: Watcher) -> int:
    return watching.updates("j")[-1]["sequence"] if watching.updates("j") else 0


def test_an_address_has_so_many_connections_that_say_nothing_or_too_little(crowded):
    """Whoever is in stays in and is served; who leaves makes room; one line of the audit log says so."""
    with Watcher(crowded.url, "websocket") as watching:
        watching.call("subscribe-job", "j")
        for said in (b"", b"GET /socket.io/?EIO=4", b"POST /api/jobs/publish HTTP/1.1\r\nHost:"):
            wait_for(lambda: not is_turned_away(crowded))
            held = [hold(crowded, said) for _ in range(5)]
            wait_for(lambda: is_turned_away(crowded))
            assert all(is_turned_away(crowded) for _ in range(3))
            crowded.ledger.append_job(JobStatusUpdate(job_id="j", status="in_progress"))
            wait_for(lambda: newest(watching) == crowded.ledger.job("j").sequence)
            held.pop().close()
            wait_for(lambda: not is_turned_away(crowded))
            for one in held:
                one.close()
        wait_for(lambda: [http("GET", f"{crowded.url}/healthz").status for _ in range(9)] == [200] * 9)
    lines = [line for line in crowded.logs().splitlines() if '"audit": "limit"' in line]
    assert {json.loads(line)["address"] for line in lines} == {"127.0.0.1"}
    assert len(lines) < 10
    assert "Traceback" not in crowded.logs()


def test_one_session_is_no_door_for_many_who_never_finish_their_upgrade(crowded):
    """They count until the change is made or given up; one that is made leaves its place to others."""
    target = f"{TARGET}&sid={Polling(crowded).sid}"
    held = [hold(crowded, opening(target)) for _ in range(5)]
    assert all(one.recv(12) == b"HTTP/1.1 101" for one in held)
    wait_for(lambda: is_turned_away(crowded))
    for one in held:
        one.close()
    wait_for(lambda: not is_turned_away(crowded))
    changed = [change(crowded) for _ in range(4)]
    held = [hold(crowded) for _ in range(4)]
    wait_for(lambda: not is_turned_away(crowded))
    for one in (*held, *changed):
        one.close()


def test_everybody_who_was_turned_away_leaves_nothing_behind(limited):
    """The last of these tests: nobody is connected, nothing was logged as an error."""
    wait_for(lambda: clients(limited) == 0)
    assert "Traceback" not in limited.logs(), limited.logs()
