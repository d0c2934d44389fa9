"""``Jobcast(app)`` in somebody's application: every async mode, every order, and the host stays as it was."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import socketio

from jobcast.embedded import EmbeddedValkey, free_port
from jobcast.ledger import RedisLedger
from jobcast.models import JobStatusUpdate
from tests.stack import ROOT, Answer, http, wait_for

MODES = ("threading", "gevent", "eventlet")
SHOP = [sys.executable, "-W", "ignore", "-m", "tests.hosts.shop"]
GUNICORN = [
    *(sys.executable, "-W", "ignore", "-m", "gunicorn", "-k", "gthread", "--threads", "20"),
    *("--graceful-timeout", "1", "tests.hosts.shop:app"),
]


class Host:
    """One process with the shop in it."""

    def __init__(self, valkey: EmbeddedValkey, log: Path, command: list[str], **environment: str) -> None:
        self.port = free_port()
        self.valkey = valkey
        self.ledger = RedisLedger.from_url(valkey.url)
        self.log = log
        bind = ["-b", f"127.0.0.1:{self.port}"] if "gunicorn" in command else []
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [*command, *bind],
                cwd=ROOT,
                env={
                    "PATH": "/usr/bin:/bin",
                    "PYTHONPATH": str(ROOT),
                    "REDIS_URL": valkey.url,
                    "PORT": str(self.port),
                    "SOCKETIO_DEBOUNCE_MS": "0",
                    **environment,
                },
                stdout=output,
                stderr=output,
            )
        self._mount = environment.get("MOUNT", "")

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return self.origin + self._mount

    def wait(self) -> Host:
        wait_for(self._is_ready, 20, "a host that is ready")
        return self

    def get(self, path: str, **headers: str) -> Answer:
        return http("GET", self.url + path, headers=headers)

    def cookie(self, user: str) -> str:
        """A session of the application's own."""
        return self.get(f"/login/{user}").headers["Set-Cookie"].partition(";")[0]

    def report(self, job_id: str, owner: str = "ana", **fields: Any) -> None:
        values = {"status": "in_progress", "progress": 1} | fields
        self.ledger.append_job(JobStatusUpdate(job_id=job_id, **values), meta={"ownerId": owner})

    def stop(self) -> None:
        self.ledger.close()
        self.process.terminate()
        try:
            self.process.wait(10)
        finally:
            self.process.kill()
            self.process.wait()

    def _is_ready(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()[-3000:]
        with contextlib.suppress(OSError):
            return self.get("/jobcast/readyz").status == 200
        return False


Start = Callable[..., Host]


@pytest.fixture(scope="module")
def start(valkey: EmbeddedValkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Starts hosts; each set-up once for all the tests that break nothing in it."""
    folder = tmp_path_factory.mktemp("hosts")
    hosts: dict[Any, Host] = {}

    def start(command: list[str] = SHOP, **environment: str) -> Host:
        key = (*command, *sorted(environment.items()))
        if key not in hosts:
            hosts[key] = Host(valkey, folder / f"{len(hosts)}.log", command, **environment).wait()
        return hosts[key]

    yield start
    for host in hosts.values():
        host.stop()


class Client:
    """A page with the user's cookie, and what it was sent."""

    def __init__(
        self,
        host: Host,
        user: str | None,
        *namespaces: str,
        transport: str = "websocket",
        path: str = "socket.io",
        **headers: str,
    ) -> None:
        self.sio = socketio.Client(reconnection=False)
        self.seen: list[tuple[str, str, Any]] = []
        for namespace in namespaces:
            self.sio.on("*", self._note(namespace), namespace=namespace)
        if user:
            headers["Cookie"] = host.cookie(user)
        self.sio.connect(
            host.origin,
            headers=headers,
            namespaces=list(namespaces),
            transports=[transport],
            socketio_path=path,
            wait_timeout=5,
        )

    def _note(self, namespace: str) -> Callable[..., str]:
        def note(event: str, data: Any = None) -> str:
            self.seen.append((namespace, event, data))
            return f"heard {event}"

        return note

    def hang_up(self) -> None:
        """At once; a stock server's WebSocket would take three seconds to answer a farewell."""
        if ws := self.sio.eio.ws:
            ws.shutdown()
        else:
            self.sio.disconnect()

    def sid(self, namespace: str) -> str:
        return str(self.sio.get_sid(namespace))

    def call(self, event: str, data: Any, namespace: str) -> Any:
        return self.sio.call(event, data, namespace=namespace, timeout=5)

    def subscribe(self, job_id: str) -> Any:
        return self.call("subscribe-job", job_id, "/jobs")

    def sequences(self, job_id: str) -> list[int]:
        return [d["sequence"] for _, e, d in self.seen if e == "job:status-changed" and d["jobId"] == job_id]

    def heard(self, event: str) -> list[Any]:
        return [data for _, name, data in self.seen if name == event]


@pytest.fixture
def visit() -> Iterator[Callable[..., Client]]:
    clients: list[Client] = []

    def visit(*arguments: Any, **options: Any) -> Client:
        clients.append(Client(*arguments, **options))
        return clients[-1]

    yield visit
    for client in clients:
        client.hang_up()


SETUPS: list[Any] = [
    *(pytest.param(SHOP, {"MODE": mode}, id=mode) for mode in MODES),
    pytest.param(SHOP, {"ORDER": "before"}, id="jobcast-first"),
    pytest.param(GUNICORN, {}, id="gthread"),
]


@pytest.mark.parametrize("transport", ["websocket", "polling"])
@pytest.mark.parametrize(("command", "environment"), SETUPS)
def test_a_page_of_the_application_sees_the_jobs_of_its_user(start, visit, command, environment, transport):
    """By push and by poll, with the application's own session and beside its own namespaces."""
    host = start(command, **environment)
    job = f"job-{transport}"
    host.report(job)
    page = visit(host, "ana", "/", "/jobs", "/chat", transport=transport)
    assert page.subscribe(job)["ok"] is True
    for progress in range(2, 12):
        host.report(job, progress=progress)
    host.report(job, status="completed", progress=100)
    last = host.ledger.job(job).sequence
    wait_for(lambda: page.sequences(job)[-1:] == [last], what="the last state")
    assert page.sequences(job) == sorted(set(page.sequences(job)))
    polled = host.get(f"/jobcast/api/jobs/{job}", Cookie=host.cookie("ana"))
    assert (polled.status, polled.json()["sequence"]) == (200, last)
    assert page.call("late", 5, "/chat") == 5
    assert page.call("join", "lobby", "/chat") == "joined"
    page.sio.emit("say", {"text": "hi", "room": "lobby"}, namespace="/chat")
    wait_for(lambda: page.heard("said") == ["hi"], what="the shop's own room")
    assert page.heard("welcome") == [{"by": "the shop"}]
    assert "Traceback" not in host.log.read_text()


@pytest.mark.parametrize("mode", MODES)
def test_sessions_say_who_may_see_what(start, visit, mode):
    """Nobody without a session, no job of somebody else, and what ``authorise`` says comes first."""
    host = start(MODE=mode)
    host.report("hers")
    host.report("secret")
    with pytest.raises(socketio.exceptions.ConnectionError):
        visit(host, None, "/jobs")
    assert host.get("/jobcast/api/jobs/hers").status == 401
    stranger = visit(host, "bob", "/jobs")
    assert stranger.subscribe("hers")["error"]["code"] == "forbidden"
    assert host.get("/jobcast/api/jobs/hers", Cookie=host.cookie("bob")).status == 403
    assert visit(host, "boss", "/jobs").subscribe("hers")["ok"]
    assert visit(host, "ana", "/jobs").subscribe("secret")["error"]["code"] == "forbidden"
    assert host.get("/jobcast/api/jobs/secret", Cookie=host.cookie("ana")).status == 403


def test_a_page_of_another_origin_has_no_use_of_the_cookie(start, visit):
    """A browser sends it along with what any page asks for, a form that cancels among them."""
    host = start(MODE="threading")
    host.report("mine")
    cookie = {"Cookie": host.cookie("ana")}
    foreign = cookie | {"Origin": "https://evil.example"}
    cancel = f"{host.url}/jobcast/api/jobs/mine/cancel"
    assert http("POST", cancel, headers=foreign).status == 403
    assert http("POST", cancel, headers=cookie | {"Origin": host.origin}).status == 202
    with pytest.raises(socketio.exceptions.ConnectionError):
        visit(host, "ana", "/jobs", Origin="https://evil.example")


def test_without_key_and_sessions_only_this_machine_is_served(start, visit):
    """A proxy's clients are elsewhere, and so is a page whose name was made to lead here."""
    host = start(KEYED="no")
    host.report("local")
    assert host.get("/jobcast/api/jobs/local").status == 200
    assert host.get("/jobcast/api/jobs/local", **{"X-Forwarded-For": "203.0.113.7"}).status == 401
    assert host.get("/jobcast/api/jobs/local", Host="shop.example").status == 401
    assert visit(host, None, "/jobs").subscribe("local")["ok"]


def test_the_applications_own_routes_stay_as_they_are(start):
    """No header, no answer to OPTIONS, no error page and no limit of ours outside the prefix."""
    host = start(JOBCAST_LIMIT_REQUESTS_PER_MINUTE="5", JOBCAST_LIMIT_LOOPBACK="true")
    for path in ("/mine", "/nowhere", "/teapot", "/broken"):
        answers = [host.get(path) for _ in range(8)]
        assert {answer.status for answer in answers} == {
            {"/mine": 200, "/nowhere": 404, "/teapot": 418, "/broken": 500}[path]
        }
        names = {name.lower() for answer in answers for name in answer.headers}
        assert names <= {"server", "date", "content-type", "content-length", "connection"}
        assert "json" not in answers[0].headers["Content-Type"]
    options = http("OPTIONS", host.url + "/mine")
    assert (options.status, "GET" in options.headers["Allow"]) == (200, True)
    assert host.get("/jobcast/nowhere").status == 404
    assert "json" not in host.get("/jobcast/nowhere").headers["Content-Type"]
    inside = [host.get("/jobcast/api/jobs/x", Cookie=host.cookie("ana")) for _ in range(8)]
    assert {answer.status for answer in inside} == {403, 429}
    assert inside[0].headers["Content-Security-Policy"]


def test_a_connection_to_the_applications_own_namespace_is_not_hung_up_on(start, visit):
    """It has joined something, though nothing of ours; one that joined nothing still is."""
    host = start(JOBCAST_HANDSHAKE_SECONDS="1")
    page = visit(host, None, "/chat")
    url = f"{host.url}/socket.io/?EIO=4&transport=polling"
    sid = host.get("/socket.io/?EIO=4&transport=polling").text.partition('"sid":"')[2].partition('"')[0]
    wait_for(lambda: http("POST", f"{url}&sid={sid}", b"3").status == 400, what="a hang-up")
    assert page.sio.connected
    assert page.call("join", "lobby", "/chat") == "joined"


@pytest.mark.parametrize("mode", MODES)
def test_rooms_and_direct_messages_of_the_application_work(start, visit, mode):
    """``emit(to=sid)`` in ``/``, rooms, ``close_room``, a connect handler that refuses."""
    host = start(MODE=mode)
    one, two = (visit(host, None, "/", "/chat") for _ in range(2))
    one.sio.emit("whisper", {"text": "psst", "to": two.sid("/")})
    wait_for(lambda: two.heard("whispered") == ["psst"], what="a direct message")
    assert not one.heard("whispered")
    for page in (one, two):
        page.call("join", "den", "/chat")
    one.sio.emit("say", {"text": "both", "room": "den"}, namespace="/chat")
    wait_for(lambda: one.heard("said") == two.heard("said") == ["both"], what="both in the room")
    one.sio.emit("close", "den", namespace="/chat")
    one.sio.emit("say", {"text": "nobody", "room": "den"}, namespace="/chat")
    assert one.call("late", 1, "/chat") == 1
    assert two.call("late", 1, "/chat") == 1
    assert one.heard("said") == two.heard("said") == ["both"]
    refused = socketio.Client(reconnection=False)
    with pytest.raises(socketio.exceptions.ConnectionError):
        refused.connect(host.origin, namespaces=["/chat"], auth={"name": "nobody"}, wait_timeout=2)


@pytest.mark.parametrize("mode", MODES)
def test_stock_processes_reach_the_applications_clients(start, visit, valkey, mode):
    """One client, bytes, rooms, an answer, and the end of a connection, all from another process."""
    host = start(MODE=mode)
    host.report("stock")
    one, two = (visit(host, "ana", "/", "/jobs", "/chat") for _ in range(2))
    for page in (one, two):
        page.call("join", "hall", "/chat")
        assert page.subscribe("stock")["ok"]
    other = _stock_server(valkey.url)
    for namespace in ("/", "/jobs", "/chat"):
        other.emit("hello", namespace, to=one.sid(namespace), namespace=namespace)
    wait_for(lambda: sorted(one.heard("hello")) == ["/", "/chat", "/jobs"], what="one client's messages")
    other.emit("blob", {"b": b"\0\1"}, to="hall", namespace="/chat")
    other.emit("blob", b"\2", to="job:stock", namespace="/jobs")
    wait_for(lambda: all(len(p.heard("blob")) == 2 for p in (one, two)), what="bytes")
    assert sorted(map(str, one.heard("blob"))) == sorted(map(str, [{"b": b"\0\1"}, b"\2"]))
    assert other.call("ask", 1, to=one.sid("/chat"), namespace="/chat", timeout=5) == "heard ask"
    assert other.call("ask", 1, to=one.sid("/jobs"), namespace="/jobs", timeout=5) == "heard ask"
    other.enter_room(one.sid("/chat"), "attic", namespace="/chat")
    other.emit("in-attic", 1, to="attic", namespace="/chat")
    wait_for(lambda: one.heard("in-attic") == [1], what="a client moved from elsewhere")
    other.leave_room(two.sid("/chat"), "hall", namespace="/chat")
    other.emit("in-hall", 1, to="hall", namespace="/chat")
    wait_for(lambda: one.heard("in-hall") == [1], what="those who stay")
    other.close_room("hall", namespace="/chat")
    other.emit("in-hall", 2, to="hall", namespace="/chat")
    other.disconnect(one.sid("/jobs"), namespace="/jobs")
    wait_for(lambda: "/jobs" not in one.sio.namespaces, what="a client that was parted with")
    assert one.call("late", 1, "/chat") == two.call("late", 1, "/chat") == 1
    assert (one.heard("in-hall"), two.heard("in-hall"), two.heard("hello")) == ([1], [], [])
    assert "Traceback" not in host.log.read_text()


def test_nobody_is_let_into_a_topic_from_elsewhere(start, visit, valkey):
    """Whoever reaches Redis could read it there; the clients of this process are not theirs to move."""
    host = start(MODE="threading")
    host.report("guarded")
    stranger = visit(host, "bob", "/jobs")
    other = _stock_server(valkey.url)
    other.enter_room(stranger.sid("/jobs"), "job:guarded", namespace="/jobs")
    other.emit("told", 1, to="job:guarded", namespace="/jobs")
    host.report("guarded", progress=50)
    other.emit("after", 1, to=stranger.sid("/jobs"), namespace="/jobs")
    wait_for(lambda: stranger.heard("after"), what="what came later")
    assert not stranger.heard("told")
    assert not stranger.sequences("guarded")


def test_a_message_queue_of_the_applications_own_is_replaced_by_ours(start, visit, valkey):
    """The same channel of the same Redis: emits come once, from wherever."""
    host = start(OWN_QUEUE=valkey.url)
    page = visit(host, None, "/", "/chat")
    page.call("join", "queue", "/chat")
    _stock_server(valkey.url).emit("once", 1, to="queue", namespace="/chat")
    page.sio.emit("say", {"text": "own", "room": "queue"}, namespace="/chat")
    wait_for(lambda: page.heard("once") and page.heard("said"), what="both")
    assert page.call("late", 1, "/chat") == 1
    assert (page.heard("once"), page.heard("said")) == ([1], ["own"])


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({"OWN_QUEUE": "redis://127.0.0.1:1"}, "REDIS_URL"),
        ({"OWN_CHANNEL": "elsewhere"}, "SOCKETIO_CHANNEL"),
        ({"SOCKETIO_CORS_ORIGIN": "app.example.com"}, "SOCKETIO_CORS_ORIGIN"),
    ],
)
def test_a_set_up_that_would_lose_messages_says_so_at_once(valkey, tmp_path, environment, named):
    """Another queue than the one our workers publish on, and an origin that no browser has."""
    environment = {"OWN_QUEUE": valkey.url} | environment
    host = Host(valkey, tmp_path / "log", SHOP, **environment)
    assert host.process.wait(15)
    host.stop()
    assert named in host.log.read_text().splitlines()[-1]


@pytest.mark.parametrize("mode", MODES)
def test_the_application_ends_when_it_is_told_to(valkey, tmp_path, visit, mode):
    """Whatever runs beside it does not keep the process."""
    host = Host(valkey, tmp_path / "log", SHOP, MODE=mode).wait()
    page = visit(host, "ana", "/jobs")
    page.subscribe("x")
    host.stop()
    assert "Traceback" not in host.log.read_text()


@pytest.mark.parametrize("transport", ["websocket", "polling"])
def test_it_works_below_a_path_and_with_a_socket_path_of_the_applications_own(start, visit, transport):
    """``/app/`` in front, and ``path=`` of its Socket.IO server."""
    host = start(MOUNT="/app", OWN_PATH="live")
    host.report("below")
    page = visit(host, "ana", "/jobs", transport=transport, path="app/live")
    assert page.subscribe("below")["ok"]
    host.report("below", progress=7)
    wait_for(lambda: len(page.sequences("below")) >= 2, what="a push")
    assert host.get("/jobcast/api/jobs/below", Cookie=host.cookie("ana")).status == 200


def test_the_limit_of_handshakes_knows_the_applications_socket_path(start):
    """Not only the usual one."""
    host = start(OWN_PATH="live", JOBCAST_LIMIT_HANDSHAKES_PER_MINUTE="3", JOBCAST_LIMIT_LOOPBACK="true")
    asked = [host.get("/live/?EIO=4&transport=polling").status for _ in range(5)]
    assert asked == [200, 200, 200, 429, 429]


def _stock_server(url: str) -> socketio.Server:
    """Another process: a Socket.IO server with nothing of ours."""
    manager = socketio.RedisManager(url, channel="flask-socketio")
    server = socketio.Server(client_manager=manager, async_mode="threading")
    manager.set_server(server)
    manager.initialize()
    wait_for(lambda: manager.redis is not None and _listens(manager), what="a stock listener")
    return server


def _listens(manager: Any) -> bool:
    return int(dict(manager.redis.pubsub_numsub(manager.channel)).get(b"flask-socketio", 0)) >= 2
