"""What the protocols' published conformance suites ask of a server, one test for each requirement.

Engine.IO protocol 4 and Socket.IO protocol 5. Their servers echo; ours answers its own events with acks.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator

import pytest

from jobcast.models import JobStatusUpdate
from tests.stack import Stack, http, wait_for
from tests.wire import CLOSE, TARGET, TEXT, Polling, Wire, frame, metric, opening

SUBSCRIBE = '42/jobs,7["subscribe-job","conform"]'


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A web process that pings every second and waits for a second."""
    patience = dict.fromkeys(("JOBCAST_PING_INTERVAL", "JOBCAST_PING_TIMEOUT"), "1")
    running = Stack(tmp_path_factory.mktemp("conformance"), **patience)
    try:
        running.valkey.start()
        running.start_web()
        yield running
        assert "Traceback" not in running.logs()
    finally:
        running.stop()


@pytest.fixture(autouse=True)
def close_all() -> Iterator[None]:
    yield
    while Wire.opened:
        Wire.opened.pop().close()


@pytest.fixture
def client(server: Stack) -> Wire:
    """A WebSocket client that is on no namespace yet."""
    return Wire(server.port).open()


def refused(server: Stack, target: str) -> str:
    """The head of the answer to an opening request."""
    attempt = Wire(server.port)
    attempt.tcp.sendall(opening(target))
    return attempt.head()


KEYS = {"sid", "upgrades", "pingInterval", "pingTimeout", "maxPayload"}


class TestEngineHandshake:
    """Engine.IO: opening a session."""

    def test_a_polling_session_opens(self, server):
        """With an OPEN packet that offers the upgrade."""
        hello = Polling(server).hello
        assert set(hello) == KEYS
        assert isinstance(hello["sid"], str)
        assert hello["upgrades"] == ["websocket"]
        assert (hello["pingInterval"], hello["pingTimeout"], hello["maxPayload"]) == (1_000, 1_000, 65_536)

    def test_a_websocket_session_opens(self, client):
        """The same, with nothing left to upgrade to."""
        assert set(client.hello) == KEYS
        assert client.hello["upgrades"] == []
        assert (client.hello["pingInterval"], client.hello["maxPayload"]) == (1_000, 65_536)

    @pytest.mark.parametrize("query", ["transport={}", "EIO=abc&transport={}", "EIO=3&transport={}"])
    def test_another_version_is_refused(self, server, query):
        """On both transports."""
        assert http("GET", f"{server.url}/socket.io/?{query.format('polling')}").status == 400
        assert refused(server, f"/socket.io/?{query.format('websocket')}").startswith("HTTP/1.1 400 ")

    def test_another_transport_is_refused(self, server):
        """On both ways in, and one that is not said is no transport."""
        assert http("GET", f"{server.url}/socket.io/?EIO=4").status == 400
        assert http("GET", f"{server.url}/socket.io/?EIO=4&transport=abc").status == 400
        assert refused(server, "/socket.io/?EIO=4&transport=abc").startswith("HTTP/1.1 400 ")

    def test_another_method_is_refused(self, server):
        """A session is opened by a GET."""
        url = f"{server.url}/socket.io/?EIO=4&transport=polling"
        assert http("POST", url, b"").status == 400
        assert http("PUT", url, b"").status == 400


class TestEngineMessages:
    """Engine.IO: packets, one or several."""

    def test_a_payload_of_one_packet(self, server):
        """200 and OK; the answer comes with the next poll."""
        polling = Polling(server)
        assert polling.post("40/jobs,").text == "OK"
        assert polling.read()[0].startswith("40/jobs,")

    def test_a_payload_of_several_packets(self, server):
        """Separated by the record separator, answered in order."""
        polling = Polling(server)
        assert polling.post("40/jobs,", SUBSCRIBE, '42/jobs,8["unsubscribe-job","conform"]').status == 200
        found: list[str] = []
        while not found or not found[-1].startswith("43/jobs,8"):
            found += polling.read()
        assert [p[:9] for p in found if p[:2] in ("40", "43")] == ["40/jobs,{", "43/jobs,7", "43/jobs,8"]

    def test_a_payload_of_text_and_binary_packets(self, server):
        """Binary ones in base64 on this transport."""
        polling = Polling(server).join("/jobs")
        header = '451-/jobs,7["subscribe-job",{"_placeholder":true,"num":0}]'
        assert polling.post(header, "bAQIDBA==").status == 200
        assert "invalid-payload" in polling.wait_for("43/jobs,7")

    @pytest.mark.parametrize("body", ["abc", "", "9", "0", "2", "4abc\x1e", "\x1e"])
    def test_an_invalid_payload_closes_the_session(self, server, body):
        """400, and 400 from then on; an empty body is an empty payload."""
        polling = Polling(server)
        if body:
            assert polling.post(body).status == 400
            assert polling.get().status == 400
        else:
            assert polling.post(body.encode()).status == 200

    def test_a_payload_that_is_too_big_closes_the_session(self, server):
        """One byte more than maxPayload."""
        polling = Polling(server)
        assert polling.post("4" + "x" * 65_536).status == 400
        assert polling.get().status == 400

    def test_two_polls_at_once_close_the_session(self, server):
        """The first one ends with a CLOSE packet, the second with 400."""
        polling = Polling(server)
        first: list[str] = []
        waiting = threading.Thread(target=lambda: first.append(polling.get().text))
        waiting.start()
        statuses = []
        wait_for(lambda: statuses.append(polling.get().status) or statuses[-1] == 400)
        waiting.join()
        assert first == ["1"] or len(statuses) > 1
        assert polling.get().status == 400

    def test_text_and_binary_over_websocket(self, client):
        """Both are understood; a binary packet is an attachment."""
        client.join("/jobs")
        client.send('451-/jobs,7["subscribe-job",{"_placeholder":true,"num":0}]')
        client.send(b"\x01\x02\x03\x04")
        assert "invalid-payload" in client.wait_for("43/jobs,7")
        client.send(SUBSCRIBE)
        assert '"ok":true' in client.wait_for("43/jobs,7")

    @pytest.mark.parametrize("packet", ["abc", "", "9", b"", b"unannounced"])
    def test_an_invalid_packet_closes_a_websocket(self, client, packet):
        """Whatever is wrong with it."""
        client.send(packet)
        assert client.until_closed() in (1000, 1002)


class TestEngineHeartbeat:
    """Engine.IO: the server pings, the client answers."""

    def test_pings_and_pongs_over_polling(self, server):
        """As often as the client goes on answering."""
        polling = Polling(server)
        for _ in range(2):
            assert polling.read() == ["2"]
            assert polling.post("3").text == "OK"
        polling.post("1")

    def test_a_polling_session_without_a_pong_ends(self, server):
        """400 for whatever comes later."""
        polling = Polling(server)
        assert polling.read() == ["2"]
        wait_for(lambda: metric(server, "clients") == 0)
        assert polling.post("3").status == 400
        assert polling.get().status == 400

    def test_pings_and_pongs_over_websocket(self, client):
        """The same."""
        for _ in range(2):
            assert client.read_frame() == (TEXT, b"2")
            client.send("3")

    def test_a_websocket_without_a_pong_is_closed(self, client):
        """After interval and time-out."""
        assert client.read_frame() == (TEXT, b"2")
        opcodes = [client.read_frame()[0] for _ in range(2)]
        assert opcodes == [TEXT, CLOSE]


class TestEngineClose:
    """Engine.IO: a client that says it goes."""

    def test_a_polling_session_is_closed(self, server):
        """The poll that waits is let go; then 400."""
        polling = Polling(server)
        waiting = threading.Thread(target=polling.get)
        waiting.start()
        assert polling.post("1").status == 200
        waiting.join(5)
        assert not waiting.is_alive()
        assert polling.get().status == 400

    def test_a_websocket_is_closed(self, client):
        """By a CLOSE packet."""
        client.send("1")
        assert client.until_closed() == 1000


class TestEngineUpgrade:
    """Engine.IO: from polling to WebSocket."""

    @pytest.fixture
    def polling(self, server: Stack) -> Polling:
        return Polling(server).join("/jobs")

    def upgraded(self, server: Stack, polling: Polling) -> Wire:
        client = Wire(server.port).open(f"{TARGET}&sid={polling.sid}")
        client.send("2probe")
        assert client.read() == "3probe"
        client.send("5")
        return client

    def test_the_probe_is_answered_and_the_poll_is_let_go(self, server, polling):
        """With a NOOP; then messages go over the WebSocket."""
        client = Wire(server.port).open(f"{TARGET}&sid={polling.sid}")
        polled: list[str] = []
        waiting = threading.Thread(target=lambda: polled.extend(polling.read()))
        waiting.start()
        client.send("2probe")
        assert client.read() == "3probe"
        waiting.join(5)
        assert polled == ["6"]
        client.tcp.sendall(frame("5") + frame(SUBSCRIBE))
        assert client.wait_for("43/jobs,7")

    def test_requests_after_the_upgrade_are_refused(self, server, polling):
        """And do not disturb the WebSocket."""
        client = self.upgraded(server, polling)
        client.send(SUBSCRIBE)
        assert client.wait_for("43/jobs,7")
        assert polling.get().status == 400
        assert polling.post("3").status == 400
        client.send(SUBSCRIBE)
        assert client.wait_for("43/jobs,7")

    def test_a_second_websocket_after_the_upgrade_is_refused(self, server, polling):
        """And does not disturb the first one."""
        client = self.upgraded(server, polling)
        client.send(SUBSCRIBE)
        assert client.wait_for("43/jobs,7")
        assert refused(server, f"{TARGET}&sid={polling.sid}").startswith("HTTP/1.1 400 ")
        client.send(SUBSCRIBE)
        assert client.wait_for("43/jobs,7")


class TestSocketConnect:
    """Socket.IO: joining namespaces."""

    @pytest.mark.parametrize("auth", ["", '{"token":"123"}', "{}"])
    @pytest.mark.parametrize("namespace", ["", "/jobs,"])
    def test_a_namespace_is_joined(self, client, namespace, auth):
        """The main one and others, with and without a payload; the answer has a sid of its own."""
        client.send(f"40{namespace}{auth}")
        answer = json.loads(client.wait_for(f"40{namespace}")[2 + len(namespace) :])
        assert set(answer) == {"sid"}
        assert answer["sid"] != client.hello["sid"]

    def test_each_namespace_has_a_session_of_its_own(self, client):
        """Several over one connection."""
        sids = set()
        for namespace in ("/jobs", "/notifications", "/analytics", "/default"):
            client.send(f"40{namespace},")
            sids.add(client.wait_for(f"40{namespace},").partition(",")[2])
        assert len(sids) == 4

    @pytest.mark.parametrize("packet", ["40/random", "40/random,", '40/random,{"token":"x"}'])
    def test_an_unknown_namespace_is_refused(self, client, packet):
        """CONNECT_ERROR with its name and an object; the connection stays."""
        client.send(packet)
        assert client.wait_for("44/random,") == '44/random,{"message":"Invalid namespace"}'
        client.join("/jobs")

    @pytest.mark.parametrize("packet", ["4abc", "40[]", '40"x"', "40/jobs,[]", "40/jobs,{", "4"])
    def test_an_invalid_connect_closes_the_connection(self, client, packet):
        """It is no CONNECT packet."""
        client.send(packet)
        assert client.until_closed() == 1000

    def test_the_query_of_a_namespace_is_cut_off(self, client):
        """As older clients send it."""
        client.send("40/jobs?token=abc,")
        assert client.wait_for("40/jobs,")


class TestSocketDisconnect:
    """Socket.IO: leaving namespaces."""

    def test_leaving_one_namespace_leaves_the_others(self, client):
        """Its events do not count any more."""
        client.join("/jobs", "/notifications")
        client.send("41/jobs,")
        client.send(SUBSCRIBE)
        assert client.call("/notifications", "subscribe-user", "u")["ok"]

    def test_leaving_the_last_namespace_keeps_the_connection(self, client):
        """It can be joined again, in a new session."""
        for _ in range(2):
            client.join("/jobs")
            client.send("41/jobs,")
        client.send("40/jobs,")
        assert client.wait_for("40/jobs,")

    def test_leaving_ends_the_subscriptions(self, server, client):
        """Nothing more arrives of them."""
        client.join("/jobs", "/default")
        assert client.call("/jobs", "subscribe-job", "left")["ok"]
        client.send("41/jobs,")
        wait_for(lambda: metric(server, "subscriptions") == 0)
        server.ledger.append_job(JobStatusUpdate(job_id="left", status="in_progress"))
        client.tcp.sendall(frame("40/jobs,") + frame('42/jobs,7["unsubscribe-job","x"]'))
        while not (found := client.read()).startswith("43/jobs,7"):
            assert "left" not in found

    def test_a_namespace_that_was_never_joined_can_be_left(self, client):
        """Nothing happens."""
        client.send("41/jobs,")
        client.send("41")
        client.send("41/nowhere,")
        client.join("/jobs")


class TestSocketMessages:
    """Socket.IO: events, attachments and acks."""

    def test_an_event_without_an_ack_is_not_acknowledged(self, client):
        """Its answer is an event."""
        client.join("/jobs")
        client.send('42/jobs,["subscribe-job","quiet"]')
        assert client.wait_for("42/jobs,").startswith('42/jobs,["subscribed"')

    @pytest.mark.parametrize("number", ["0", "1", "456", "9" * 90])
    def test_an_ack_carries_the_number_of_its_event(self, client, number):
        """To the digit."""
        client.join("/jobs")
        client.send(f'42/jobs,{number}["unsubscribe-job","x"]')
        assert client.wait_for(f"43/jobs,{number}[") == f'43/jobs,{number}[{{"ok":true,"jobId":"x"}}]'

    def test_several_attachments_make_one_event(self, client):
        """Text between them ends the connection."""
        client.join("/jobs")
        header = '452-/jobs,7["subscribe-job",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]'
        client.send(header)
        client.send(b"\x01")
        client.send(b"\x02")
        assert client.wait_for("43/jobs,7")
        client.send(header)
        client.send(b"\x01")
        client.send(SUBSCRIBE)
        assert client.until_closed() == 1000

    @pytest.mark.parametrize(
        "packet",
        [
            "4abc",
            "42{}",
            "42",
            "42[]",
            "42[1]",
            "42[null]",
            "42/jobs,",
            '42/jobs,"x"',
            '42abc["message"]',
            '42["message"',
            "43/jobs,[]",
            "43/jobs,1",
            "44/jobs,{}",
            "47",
            "45/jobs,[]",
            '450-/jobs,["x"]',
            '451-["x"]',
            '451-/nowhere,["x"]',
            '42/jobs,["x",' + "[" * 30_000,
            f'42/jobs,{"9" * 120}["x"]',
            '41/jobs,{"a":1}',
        ],
    )
    def test_an_invalid_packet_closes_the_connection(self, client, packet):
        """And no traceback is left behind."""
        client.join("/jobs")
        client.send(packet)
        assert client.until_closed() == 1000

    @pytest.mark.parametrize("number", ["5", '"x"', "null", "-9", "1.5", "[]"])
    def test_a_placeholder_for_nothing_closes_the_connection(self, client, number):
        """There is no such attachment."""
        client.join("/jobs")
        client.send(f'451-/jobs,["x",{{"_placeholder":true,"num":{number}}}]')
        client.send(b"\x01")
        assert client.until_closed() == 1000
