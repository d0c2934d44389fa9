"""A Redis Cluster from worker to client: events travel on sharded channels, from each one's primary."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import redis
from redis.crc import key_slot

from jobcast import InvalidSetting, Settings
from jobcast.celery import make_celery
from jobcast.embedded import EmbeddedValkey
from jobcast.errors import LedgerUnavailable
from jobcast.ledger import RedisLedger
from jobcast.models import JobStatusUpdate
from tests.cluster import ValkeyCluster
from tests.stack import Stack, http, wait_for
from tests.watcher import Watcher, assert_no_regression


class Clustered(Stack):
    """A stack on a cluster with a replica of its first primary; tasks are queued elsewhere."""

    def __init__(self, folder: Path, nodes: ValkeyCluster) -> None:
        super().__init__(folder)
        self.broker = self.valkey
        self.environment |= {
            "JOBCAST_CHANNELS": "sharded",
            "REDIS_URL": nodes.url.removeprefix("cluster+"),
            "CELERY_BROKER_URL": self.broker.url,
            "JOBCAST_LEASE_MS": "1000",
            "SOCKETIO_DEBOUNCE_MS": "100",
        }

    def send(self, task: str, args: tuple, job_id: str) -> None:
        settings = Settings(
            redis_url=self.environment["REDIS_URL"],
            celery_broker_url=self.broker.url,
            jobcast_channels="sharded",
        )
        with closing(make_celery(settings)) as celery:
            celery.send_task(task, args=args, task_id=job_id)


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyCluster]:
    with ValkeyCluster(tmp_path_factory.mktemp("nodes"), primaries=3, replicas=1) as running:
        yield running


@pytest.fixture(scope="module")
def clustered(nodes: ValkeyCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clustered]:
    stack = Clustered(tmp_path_factory.mktemp("clustered"), nodes)
    try:
        stack.valkey.start()
        stack.start_web()
        stack.start_worker()
        yield stack
    finally:
        stack.stop()


@pytest.fixture(scope="module")
def ledger(nodes: ValkeyCluster) -> Iterator[RedisLedger]:
    found = RedisLedger.from_url(nodes.url, per_topic=True)
    yield found
    found.close()


def jobs_on_each(nodes: ValkeyCluster, prefix: str) -> list[str]:
    """One job id for each primary."""
    found: dict[int, str] = {}
    for number in range(100):
        job_id = f"{prefix}{number}"
        found.setdefault(key_slot(f"{{job:{job_id}}}".encode()) * 3 // 16_384, job_id)
    return [found[primary] for primary in range(3)]


def state(job_id: str, progress: float, status: str = "in_progress") -> JobStatusUpdate:
    return JobStatusUpdate(job_id=job_id, status=status, progress=progress)


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """A process that does not notice what happens meanwhile."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def received(stack: Stack) -> int:
    found = re.search(r"^jobcast_messages_total (\d+)", http("GET", stack.url + "/metrics").text, re.M)
    return int(found[1]) if found else -1


def test_tasks_on_every_primary_are_shown_to_their_end(clustered, nodes):
    """From a real worker: every update once and in order, and nothing of what nobody follows."""
    jobs = jobs_on_each(nodes, "task")
    with Watcher(clustered.url) as watching:
        for job_id in jobs:
            assert watching.call("subscribe-job", job_id)["ok"]
        for job_id in (*jobs, "unseen"):
            clustered.send("tests.count", (20, 0.02), job_id)
        for job_id in jobs:
            assert watching.wait_for_status(job_id, "completed")["completed"] == 20
            assert_no_regression(watching.updates(job_id))
        wait_for(lambda: http("GET", f"{clustered.url}/api/jobs/unseen").json()["status"] == "completed")
        stored = sum(http("GET", f"{clustered.url}/api/jobs/{job_id}").json()["sequence"] for job_id in jobs)
        assert received(clustered) == stored


def test_a_stock_emit_arrives_through_any_node(clustered, nodes):
    """The shared channel is a plain one, which the cluster carries everywhere."""
    with Watcher(clustered.url) as watching:
        watching.call("subscribe-job", "stock")
        emit = {
            "method": "emit",
            "event": "job:status-changed",
            "namespace": "/jobs",
            "room": "job:stock",
            "host_id": "somebody",
        }
        for number, node in enumerate(nodes.nodes):
            data = {"jobId": "stock", "status": "in_progress", "progress": number}
            with redis.Redis(port=node.port) as client:
                client.publish("flask-socketio", json.dumps(emit | {"data": data}))
        wait_for(lambda: [u["progress"] for u in watching.updates("stock")] == [0, 1, 2, 3])


def test_a_slot_that_moves_takes_its_followers_along(clustered, nodes, ledger):
    """Its channel is named at its new owner, and what was reported meanwhile is read."""
    jobs = jobs_on_each(nodes, "moved")
    with Watcher(clustered.url) as watching:
        for job_id in jobs:
            watching.call("subscribe-job", job_id)
            ledger.append_job(state(job_id, 10))
        moved = f"{{job:{jobs[1]}}}"
        before = nodes.owner(moved)
        with stopped(clustered.processes[0].pid):
            nodes.move(moved)
            wait_for(lambda: nodes.owner(moved) is not before)
            ledger.append_job(state(jobs[1], 50))
        wait_for(lambda: [u["progress"] for u in watching.updates(jobs[1])][-1:] == [50], 5)
        for job_id in jobs:
            ledger.append_job(state(job_id, 100, "completed"))
        for job_id in jobs:
            watching.wait_for_status(job_id, "completed")
            assert_no_regression(watching.updates(job_id))


def test_a_replica_that_takes_over_is_listened_to(clustered, nodes, ledger):
    """The primary of one job is killed in the middle of it; the last of these tests."""
    jobs = jobs_on_each(nodes, "lost")
    with Watcher(clustered.url) as watching:
        for job_id in jobs:
            watching.call("subscribe-job", job_id)
        for job_id in jobs:
            clustered.send("tests.count", (150, 0.02), job_id)
        for job_id in jobs:
            watching.wait_for_status(job_id, "in_progress")
        nodes.kill(nodes.nodes[0])
        for job_id in jobs:
            watching.wait_for_status(job_id, "completed", 20)
            assert_no_regression(watching.updates(job_id))
        wait_for(lambda: http("GET", clustered.url + "/readyz").status == 200, 10)
    assert "Traceback" not in clustered.logs()


def test_a_queue_of_its_own_is_needed():
    """Celery's Redis transport speaks to one server."""
    with pytest.raises(InvalidSetting, match=r"JOBCAST_CHANNELS.*needs CELERY_BROKER_URL"):
        Settings.from_environment(redis_url="redis://127.0.0.1:1", jobcast_channels="sharded")


def test_a_server_that_is_no_cluster_is_told_apart(valkey: EmbeddedValkey):
    """In one line, when the ledger is first used."""
    found = RedisLedger.from_url("cluster+" + valkey.url, per_topic=True)
    with pytest.raises(LedgerUnavailable, match=r"[Cc]luster mode is not enabled"):
        found.ping()
    found.close()
