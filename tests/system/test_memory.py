"""What a job leaves behind when it is over: the short form of ``python -m tests.chaos --soak``."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import pytest
import redis

from tests.stack import Stack, wait_for
from tests.watcher import Watcher

RETENTION = 60
JOBS = 100


@pytest.fixture
def short_lived(tmp_path) -> Iterator[Stack]:
    """Jobs and results are kept for as short as the settings allow; one child runs them all."""
    stack = Stack(tmp_path, SOCKETIO_DEBOUNCE_MS="50", JOBCAST_RETENTION_SECONDS=str(RETENTION))
    try:
        stack.valkey.start()
        stack.start_web()
        stack.start_worker(concurrency=1)
        yield stack
    finally:
        stack.stop()


def gauge(stack: Stack, name: str) -> int:
    lines = stack.get("/metrics").text.splitlines()
    return next(int(float(x.split()[1])) for x in lines if x.startswith(f"jobcast_{name} "))


def test_nothing_is_left_of_jobs_that_are_over_and_clients_that_have_gone(short_lived, producer):
    """Of 100 jobs: no lease, no key without a near end, no subscription, no reporter's job, no rate cap."""
    celery = producer(short_lived)
    names = [f"job{n}" for n in range(JOBS)]
    with Watcher(short_lived.url) as watching:
        for name in names:
            watching.call("subscribe-job", name)
        for name in names:
            celery.send_task("tests.count", args=(3,), task_id=name)
        ended = {"completed"}
        wait_for(lambda: all({u["status"] for u in watching.updates(n)} & ended for n in names), 30, "all")
        assert gauge(short_lived, "subscriptions") == JOBS
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
            assert celery.send_task("tests.left").get(timeout=10) == [0, 0, 0]
    for name in ("subscriptions", "clients", "capped"):
        wait_for(lambda name=name: gauge(short_lived, name) == 0, 10, f"no {name}")
    with redis.Redis(port=short_lived.valkey.port, decode_responses=True) as client:
        assert client.zcard("jobcast:leases") == 0
        kept = client.keys("jobcast:*job*") + client.keys("celery-task-meta-*")
        assert len(kept) >= 3 * JOBS
        assert all(0 < client.ttl(key) <= RETENTION for key in kept)
        others = set(client.keys()) - set(kept)
        assert len(others) < 10, others
