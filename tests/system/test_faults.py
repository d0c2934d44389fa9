"""What happens when parts go away: counts decide, in real processes."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
import warnings
from collections.abc import Iterator
from contextlib import closing

import pytest
import redis
import socketio

from jobcast import Settings
from jobcast.celery import make_celery
from jobcast.embedded import EmbeddedValkey, free_port
from jobcast.models import JobStatusUpdate, Notification
from jobcast.topics import job_topic
from tests.stack import Stack, wait_for
from tests.watcher import Watcher, assert_no_regression
from tests.wire import Wire, metric


@pytest.fixture
def quick(tmp_path) -> Iterator[Stack]:
    """A stack of one's own with a short interval and short leases."""
    with Stack(tmp_path, SOCKETIO_DEBOUNCE_MS="100", JOBCAST_LEASE_MS="500") as running:
        yield running


def state(job_id: str, progress: float | None = None, status: str = "in_progress") -> JobStatusUpdate:
    return JobStatusUpdate(job_id=job_id, status=status, progress=progress)


def note(n: int) -> Notification:
    return Notification(id=f"n{n}", type="alert", title="t", message="m" * 500, severity="info")


def children_of(pid: int) -> list[int]:
    listed = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=True
    )
    return [int(line) for line in listed.stdout.split()]


def test_events_of_the_moment_the_listener_was_cut_off_arrive(quick):
    """CLIENT KILL, again and again, while notifications are sent: all arrive, once, in order."""
    with Watcher(quick.url) as watching, redis.Redis.from_url(quick.valkey.url) as client:
        watching.call("subscribe-user", "ana", "/notifications")
        for n in range(60):
            if n % 10 == 5:
                client.client_kill_filter(_type="pubsub")
            quick.ledger.append_notification("ana", note(n))
        wait_for(lambda: len(watching.of("notification:received")) >= 60, 5)
        assert [e["id"] for e in watching.of("notification:received")] == [f"n{n}" for n in range(60)]


@contextlib.contextmanager
def forgotten(client: redis.Redis, job_id: str) -> Iterator[None]:
    """What happens to the job within is lost, as with a failover to a replica that lagged behind."""
    kept = {key: client.dump(key) for key in client.keys(f"jobcast:{{job:{job_id}}}:*")}
    yield
    for key, content in kept.items():
        client.restore(key, 60_000, content, replace=True)
    client.client_kill_filter(_type="pubsub")


def test_a_job_outlives_a_store_that_comes_back_older(quick):
    """Who stays connected and who comes back later: both see its end, although its numbers begin again."""
    with Watcher(quick.url) as watching, redis.Redis.from_url(quick.valkey.url) as client:
        watching.call("subscribe-job", "j")
        for job_id in ("j", "later"):
            quick.ledger.append_job(state(job_id, 5))
            with forgotten(client, job_id):
                for progress in (10, 20, 30):
                    quick.ledger.append_job(state(job_id, progress, "pending"))
                seen = quick.ledger.job(job_id)
        quick.ledger.append_job(state("j", 100, "completed"))
        assert watching.wait_for_status("j", "completed")["epoch"] != seen.epoch
        place = {"jobId": "later", "since": seen.sequence, "epoch": seen.epoch}
        answer = watching.call("subscribe-job", place)
        assert (answer["sequence"], answer["recovered"]) == (1, False)
        assert answer["epoch"] not in (None, seen.epoch)
        wait_for(lambda: watching.updates("later"))
        assert watching.updates("later")[-1]["epoch"] == answer["epoch"]
        watching.call("subscribe-job", {**place, "epoch": answer["epoch"]})  # believed once a minute
        assert quick.ledger.job("later").epoch == answer["epoch"]


def test_a_job_outlives_a_store_that_comes_back_empty(quick, producer):
    """The task runs on; its topic is restored under a new epoch; its end is told."""
    with Watcher(quick.url) as watching:
        watching.call("subscribe-job", "j")
        producer(quick).send_task("tests.count", args=(200, 0.02), task_id="j")
        first = watching.wait_for_status("j", "in_progress")
        quick.valkey.stop()
        time.sleep(1)
        quick.valkey.start()
        last = watching.wait_for_status("j", "completed")
        assert (last["completed"], last["progress"]) == (200, 100)
        assert last["epoch"] != first["epoch"]
        assert_no_regression(watching.updates("j"))


def test_the_end_is_delivered_although_the_worker_is_asked_to_stop_during_the_outage(quick, producer):
    """The store hangs; the task ends; the worker gets SIGTERM; the store comes back."""
    with Watcher(quick.url) as watching:
        watching.call("subscribe-job", "j")
        producer(quick).send_task("tests.count", args=(60, 0.02), task_id="j")
        watching.wait_for_status("j", "in_progress")
        os.kill(quick.valkey.pid, signal.SIGSTOP)
        time.sleep(2)
        quick.processes[-1].terminate()
        time.sleep(1)
        os.kill(quick.valkey.pid, signal.SIGCONT)
        assert watching.wait_for_status("j", "completed")["completed"] == 60


def test_a_worker_that_was_only_paused_takes_its_job_back(quick, producer):
    """Stalled, then lost; then it reports again, under a new attempt, and finishes."""
    with Watcher(quick.url) as watching:
        watching.call("subscribe-job", "j")
        producer(quick).send_task("tests.count", args=(100, 0.03), task_id="j")
        watching.wait_for_status("j", "in_progress")
        family = [quick.processes[-1].pid, *children_of(quick.processes[-1].pid)]
        for pid in family:
            os.kill(pid, signal.SIGSTOP)
        lost = watching.wait_for_status("j", "failed")
        assert (lost["error"], lost["attempt"]) == ("worker lost", 1)
        for pid in family:
            os.kill(pid, signal.SIGCONT)
        assert watching.wait_for_status("j", "completed")["attempt"] == 2
        assert_no_regression(watching.updates("j"))


def test_a_retry_is_told_although_the_store_is_full_at_that_moment(quick, producer):
    """Celery cannot store its own view of it and forgets to say so; the job waits, and is not lost."""
    with Watcher(quick.url) as watching, redis.Redis.from_url(quick.valkey.url) as client:
        watching.call("subscribe-job", "j")
        # The retry itself is a message to the broker, which is full as well unless it is another one.
        with EmbeddedValkey() as broker:
            worker = quick.start_worker(CELERY_BROKER_URL=broker.url)
            settings = Settings(redis_url=quick.valkey.url, celery_broker_url=broker.url)
            with closing(make_celery(settings)) as celery:
                celery.send_task("tests.retry_late", args=(1.0,), task_id="j")
            watching.wait_for_status("j", "in_progress")
            client.config_set("maxmemory", 1)
            time.sleep(1.5)
            client.config_set("maxmemory", 0)
            assert "RuntimeError" in watching.wait_for_status("j", "pending")["error"]
            assert watching.wait_for_status("j", "completed")["attempt"] == 2
            worker.terminate()
            worker.wait(15)
    assert not any(u["status"] == "failed" or u.get("stalled") for u in watching.updates("j"))
    assert_no_regression(watching.updates("j"))


def test_a_success_stays_one_although_the_store_is_full_at_that_moment(quick, producer):
    """Celery would call the task failed, because it could not store its result."""
    with (
        Watcher(quick.url) as watching,
        redis.Redis.from_url(quick.valkey.url) as client,
        warnings.catch_warnings(action="ignore", category=DeprecationWarning),
    ):
        watching.call("subscribe-job", "j")
        sent = producer(quick).send_task("tests.count", args=(20, 0.05), task_id="j")
        watching.wait_for_status("j", "in_progress")
        client.config_set("maxmemory", 1)
        time.sleep(2)
        client.config_set("maxmemory", 0)
        watching.wait_for_status("j", "completed")
        assert sent.get(timeout=5) == 20


def test_an_outage_of_the_store_makes_no_worker_lost(quick, producer):
    """It hangs for six leases; two jobs go on, and are neither stalled nor lost when it is back."""
    with Watcher(quick.url) as watching:
        for job_id in ("one", "two"):
            watching.call("subscribe-job", job_id)
            producer(quick).send_task("tests.count", args=(200, 0.03), task_id=job_id)
            watching.wait_for_status(job_id, "in_progress")
        os.kill(quick.valkey.pid, signal.SIGSTOP)
        time.sleep(3)
        os.kill(quick.valkey.pid, signal.SIGCONT)
        for job_id in ("one", "two"):
            assert watching.wait_for_status(job_id, "completed", "failed")["attempt"] == 1
            assert not any(u.get("stalled") or u["status"] == "failed" for u in watching.updates(job_id))


def test_an_end_that_was_never_told_is_repaired_from_the_result_backend(quick, producer):
    """The worker stored its result and died before it could report it."""
    celery = producer(quick)
    quick.ledger.append_job(state("done", 40), begin=True, meta={"successStatus": "published"})
    quick.ledger.append_job(state("broken", 40), begin=True)
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        celery.backend.store_result("done", "fine", "SUCCESS")
        celery.backend.store_result("broken", ValueError("boom"), "FAILURE")
    with Watcher(quick.url) as watching:
        for job_id in ("done", "broken"):
            watching.call("subscribe-job", job_id)
            quick.ledger.touch([job_topic(job_id)], 0.1)
        assert watching.wait_for_status("done", "published")["progress"] == 100
        failed = watching.wait_for_status("broken", "failed")
        assert (failed["error"], failed["progress"]) == ("ValueError (the worker's log has more)", 40)


def test_two_web_processes_deliver_the_same_and_only_one_of_them_sweeps(quick):
    """Nobody sees anything twice."""
    port = free_port()
    quick.start_web(port)
    quick.ledger.append_job(state("j", 10), begin=True)
    with Watcher(quick.url) as one, Watcher(f"http://127.0.0.1:{port}", "polling") as two:
        for watching in (one, two):
            watching.call("subscribe-job", "j")
        quick.ledger.append_job(state("j", 20))
        quick.ledger.touch([job_topic("j")], 0.1)
        for watching in (one, two):
            watching.wait_for_status("j", "failed")
        shown = [(u["sequence"], u["status"], u.get("stalled")) for u in one.updates("j")]
        assert shown == [(u["sequence"], u["status"], u.get("stalled")) for u in two.updates("j")]
        assert [status for _, status, _ in shown].count("failed") == 1


def test_a_stopping_web_process_says_so_and_its_clients_come_back(quick, producer):
    """server:restarting with a moment of its own; exit in time; the job is followed to its end."""
    with Watcher(quick.url, reconnection_delay=0.1, reconnection_delay_max=0.5) as watching:
        watching.call("subscribe-job", "j")
        producer(quick).send_task("tests.count", args=(300, 0.02), task_id="j")
        watching.wait_for_status("j", "in_progress")
        web = quick.processes[0]
        web.terminate()
        assert 0 < watching.wait_for_event("server:restarting")["retryAfterMs"] <= 5_000
        assert web.wait(20) == 0
        seen = watching.updates("j")[-1]
        quick.start_web()
        wait_for(lambda: watching.client.connected and "/jobs" in watching.client.namespaces, 15)
        place = {"jobId": "j", "since": seen["sequence"], "epoch": seen["epoch"]}
        wait_for(lambda: _subscribes(watching, place), 10)
        watching.wait_for_status("j", "completed")
        assert_no_regression(watching.updates("j"))


def test_a_web_process_is_stopped_while_the_store_hangs(own_stack):
    """In time and quietly, although its clients wait for answers."""
    own_stack.valkey.start()
    web = own_stack.start_web()
    clients = [Wire(own_stack.port).open().join("/jobs") for _ in range(25)]
    os.kill(own_stack.valkey.pid, signal.SIGSTOP)
    for client in clients:
        client.send('42/jobs,7["subscribe-job","j"]')
    wait_for(lambda: metric(own_stack, "subscriptions") == len(clients), what="clients that wait")
    web.terminate()
    assert web.wait(10) == 0
    os.kill(own_stack.valkey.pid, signal.SIGCONT)
    for client in clients:
        client.close()
    assert "Traceback" not in own_stack.logs()


def test_with_the_store_away_routes_and_subscribers_are_told_and_nothing_is_half_started(quick):
    """503 unavailable with Retry-After; an ack that says unavailable; ready again afterwards."""
    with Watcher(quick.url) as watching:
        quick.valkey.stop()
        assert watching.call("subscribe-job", "j")["error"]["code"] == "unavailable"
        body = {"brandId": "b", "userId": "u", "posts": [{"content": "hi"}]}
        for answer in (quick.get("/api/jobs/j"), quick.post("/api/jobs/publish", body), quick.get("/readyz")):
            assert (answer.status, answer.json()["code"]) == (503, "unavailable")
            assert answer.headers["Retry-After"]
        assert quick.get("/healthz").status == 200
        quick.valkey.start()
        wait_for(lambda: quick.get("/readyz").status == 200, 5)
        assert quick.get("/api/jobs?brandId=b").json() == {"jobs": []}
        assert watching.call("subscribe-job", "j")["ok"]


def test_who_asks_again_while_the_store_is_away_goes_on_with_what_it_has(quick):
    """The new subscription does not stand, so the one that lives stays: its events arrive."""
    with Watcher(quick.url) as watching:
        assert watching.call("subscribe-job", "j")["ok"]
        quick.valkey.stop()
        assert watching.call("subscribe-job", "j")["error"]["code"] == "unavailable"
        assert watching.call("subscribe-job", "other")["error"]["code"] == "unavailable"
        quick.valkey.start()
        wait_for(lambda: quick.get("/readyz").status == 200, 5)
        for job_id in ("j", "other"):
            quick.ledger.append_job(state(job_id, status="completed"))
        watching.wait_for_status("j", "completed")
        assert metric(quick, "subscriptions") == 1


def test_a_client_that_stops_reading_costs_little_delays_nobody_and_ends_right(quick):
    """Thirty inboxes and a job overflow it; when it reads again it has all that is current, in order."""
    sleeper = RawClient(quick.port)
    inboxes = [f"user{n}" for n in range(30)]
    for inbox in inboxes:
        sleeper.subscribe("/notifications", "subscribe-user", inbox)
    with Watcher(quick.url) as watching:
        for inbox in inboxes:
            watching.call("subscribe-user", inbox, "/notifications")
        before = memory(quick)
        for n in range(90):
            for inbox in inboxes:
                quick.ledger.append_notification(inbox, note(n))
        wait_for(lambda: len(watching.of("notification:received")) == 2_700, 20)
        assert memory(quick) - before < 8_000_000
        received = sleeper.read_until(lambda seen: len(seen) >= 2_700)
    assert len(received) == 2_700
    by_epoch: dict[str, list[int]] = {}
    for event in received:
        by_epoch.setdefault(event["epoch"], []).append(event["sequence"])
    assert len(by_epoch) == 30
    assert all(places == list(range(1, 91)) for places in by_epoch.values())
    sleeper.close()


def test_a_client_that_asks_and_never_reads_is_disconnected(quick):
    """Answers cannot be read again later, so they are not piled up."""
    flooder = RawClient(quick.port)
    event = json.dumps(["subscribe-job", "x" * 100])
    packets = (f"42/jobs,{n}{event}" for n in range(200_000))
    with pytest.raises(OSError):
        list(map(flooder.send, packets))
    flooder.close()
    assert "does not read" in quick.logs()
    assert quick.get("/healthz").status == 200


class RawClient:
    """An Engine.IO client over a plain socket, which reads only when it is told to."""

    def __init__(self, port: int) -> None:
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
        self.socket.settimeout(10)
        self.socket.connect(("127.0.0.1", port))
        self.socket.sendall(
            b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        self.buffer = b""
        while b"\r\n\r\n" not in self.buffer:
            self.buffer += self.socket.recv(4096)
        self.buffer = self.buffer.split(b"\r\n\r\n", 1)[1]
        for namespace in ("/jobs", "/notifications"):
            self.send(f"40{namespace},")
            self._wait(f"40{namespace},")

    def send(self, text: str) -> None:
        payload = text.encode()
        size = (
            bytes([0x80 | len(payload)]) if len(payload) < 126 else b"\xfe" + len(payload).to_bytes(2, "big")
        )
        self.socket.sendall(b"\x81" + size + bytes(4) + payload)

    def subscribe(self, namespace: str, event: str, name: str) -> None:
        self.send(f"42{namespace},7{json.dumps([event, name])}")
        self._wait(f"43{namespace},7")

    def read_until(self, enough) -> list[dict]:
        """Every notification until there are enough of them."""
        seen: list[dict] = []
        deadline = time.monotonic() + 30
        while not enough(seen) and time.monotonic() < deadline:
            text = self._read()
            if text == "2":
                self.send("3")
            head, _, tail = text.partition("[")
            if head == "42/notifications," and tail.startswith('"notification:received"'):
                seen.append(json.loads(f"[{tail}")[1])
        return seen

    def close(self) -> None:
        self.socket.close()

    def _wait(self, start: str) -> None:
        while not self._read().startswith(start):
            pass

    def _read(self) -> str:
        head = self._take(2)
        size = head[1] & 0x7F
        if size >= 126:
            size = int.from_bytes(self._take(2 if size == 126 else 8), "big")
        return self._take(size).decode(errors="replace")

    def _take(self, size: int) -> bytes:
        while len(self.buffer) < size:
            received = self.socket.recv(65_536)
            if not received:
                raise ConnectionResetError
            self.buffer += received
        taken, self.buffer = self.buffer[:size], self.buffer[size:]
        return taken


def memory(stack: Stack) -> float:
    lines = stack.get("/metrics").text.splitlines()
    return next(float(x.split()[1]) for x in lines if x.startswith("process_resident_memory_bytes "))


def _subscribes(watching: Watcher, place: dict) -> bool:
    try:
        return watching.call("subscribe-job", place)["ok"]
    except socketio.exceptions.SocketIOError:
        return False
