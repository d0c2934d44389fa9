"""One Redis channel per topic: a web process is sent what its own clients follow, and nothing is missed."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator

import pytest
import redis

from jobcast.embedded import free_port
from jobcast.ledger import RedisLedger
from jobcast.models import JobStatusUpdate
from tests.stack import Stack, http, wait_for
from tests.watcher import Watcher, assert_no_regression


@pytest.fixture
def two(tmp_path) -> Iterator[tuple[Stack, str]]:
    """A stack with two web processes and a channel for each topic; the second one's address."""
    stack = Stack(tmp_path, JOBCAST_CHANNELS="topic")
    try:
        stack.valkey.start()
        port = free_port()
        stack.start_web()
        stack.start_web(port)
        yield stack, f"http://127.0.0.1:{port}"
    finally:
        stack.stop()


@pytest.fixture
def ledger(two) -> Iterator[RedisLedger]:
    found = RedisLedger.from_url(two[0].valkey.url, per_topic=True)
    yield found
    found.close()


def received(url: str) -> int:
    found = re.search(r"^jobcast_messages_total (\d+)", http("GET", url + "/metrics").text, re.M)
    return int(found[1]) if found else -1


def channels(stack: Stack) -> set[str]:
    with redis.Redis.from_url(stack.valkey.url, decode_responses=True) as client:
        return set(client.pubsub_channels())


def test_a_process_is_sent_only_what_its_clients_follow(two, ledger):
    """The other process receives nothing at all of a topic that none of its clients follows."""
    stack, other = two
    job_id = uuid.uuid4().hex
    with Watcher(stack.url) as watcher:
        watcher.call("subscribe-job", job_id)
        for done in range(20):
            ledger.append_job(
                JobStatusUpdate(job_id=job_id, status="in_progress", progress=done), mergeable=False
            )
        ledger.append_job(JobStatusUpdate(job_id=job_id, status="completed", progress=100))
        watcher.wait_for_status(job_id, "completed")
        assert_no_regression(watcher.updates(job_id))
        assert received(stack.url) == 21
        assert received(other) == 0


def test_a_channel_is_left_with_its_last_follower(two, ledger):
    """By unsubscribing as well as by going away."""
    stack, _ = two
    with Watcher(stack.url) as first, Watcher(stack.url) as second:
        for watcher in (first, second):
            watcher.call("subscribe-job", "shared-by-two")
        second.call("subscribe-job", "for-one")
        assert channels(stack) == {
            "flask-socketio",
            "flask-socketio#{job:shared-by-two}",
            "flask-socketio#{job:for-one}",
        }
        first.call("unsubscribe-job", "shared-by-two")
        assert "flask-socketio#{job:shared-by-two}" in channels(stack)
    wait_for(lambda: channels(stack) == {"flask-socketio"})


def test_every_channel_is_listened_to_again_after_redis_was_away(two, ledger):
    """And what was stored meanwhile arrives."""
    stack, _ = two
    with Watcher(stack.url) as watcher, redis.Redis.from_url(stack.valkey.url) as client:
        jobs = [f"j{number}" for number in range(30)]
        for job_id in jobs:
            watcher.call("subscribe-job", job_id)
        client.client_kill_filter(_type="pubsub")
        for job_id in jobs:
            ledger.append_job(JobStatusUpdate(job_id=job_id, status="completed", progress=100))
        for job_id in jobs:
            watcher.wait_for_status(job_id, "completed")


def test_stock_emits_and_the_shared_channel_still_arrive(two):
    """A worker that was not told of the setting, or somebody's own emit."""
    stack, _ = two
    with Watcher(stack.url) as watcher:
        watcher.call("subscribe-job", "from-elsewhere")
        stack.ledger.append_job(JobStatusUpdate(job_id="from-elsewhere", status="completed", progress=100))
        watcher.wait_for_status("from-elsewhere", "completed")
