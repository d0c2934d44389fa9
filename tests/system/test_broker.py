"""The task queue goes and comes back: what was only reserved begins soon, and nothing runs twice at once."""

from __future__ import annotations

import os
import signal
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest
import redis
from celery import bootsteps
from kombu import Connection, Consumer, Message, Producer
from kombu import Queue as KombuQueue

from jobcast import Settings
from jobcast.celery import make_celery
from jobcast.celery.request import INTERRUPTED
from jobcast.celery.visibility import VisibilityRenewer
from jobcast.embedded import EmbeddedValkey
from jobcast.models import JobStatusUpdate
from tests.chaos.world import children_of
from tests.stack import Stack, wait_for


class Queue:
    """A broker that keeps its data, beside a ledger, and workers with one child each."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self.broker = EmbeddedValkey(log=folder / "broker.log", data_dir=folder / "broker").start()
        self.log = folder / "begun.txt"
        self.log.touch()
        self.stack = stack
        stack.valkey.start()
        stack.environment |= {"CELERY_BROKER_URL": self.broker.url, "SOCKETIO_DEBOUNCE_MS": "100"}

    def send(self, name: str, job_id: str, seconds: float) -> None:
        settings = Settings(redis_url=self.stack.valkey.url, celery_broker_url=self.broker.url)
        with closing(make_celery(settings)) as celery:
            celery.send_task(f"tests.{name}", args=(str(self.log), seconds), task_id=job_id)

    def begun(self) -> list[str]:
        return self.log.read_text().split()

    def reserved(self) -> int:
        """Messages that some worker holds and has not acknowledged."""
        with redis.Redis(port=self.broker.port) as client:
            return client.hlen("unacked")

    def job(self, job_id: str) -> JobStatusUpdate | None:
        return self.stack.ledger.job(job_id)

    def has_ended(self, *job_ids: str) -> bool:
        jobs = [self.job(job_id) for job_id in job_ids]
        return all(job is not None and job.status == "completed" for job in jobs)

    def restart(self) -> None:
        os.kill(self.broker.pid, signal.SIGKILL)
        self.broker.stop()
        self.broker.start()


@pytest.fixture
def queue(own_stack, tmp_path) -> Iterator[Queue]:
    made = Queue(own_stack, tmp_path)
    yield made
    made.broker.stop()


def test_a_restarted_broker_neither_delays_what_waits_nor_repeats_what_runs(queue):
    """Two tasks run, one is reserved, one is queued: each begins once, and soon; none stays reserved."""
    queue.stack.start_worker(concurrency=2)
    queue.send("late", "late", 4.5)
    queue.send("early", "early", 3.5)
    begun = ["early", "late"]
    wait_for(lambda: sorted(queue.begun()) == begun and queue.reserved() == 1, 10, "two running")
    queue.send("early", "waits", 0.2)
    wait_for(lambda: queue.reserved() == 2, 10, "one reserved, and the one acknowledged late")
    queue.send("early", "queued", 0.2)
    queue.restart()
    wait_for(lambda: queue.has_ended("late", "early", "waits", "queued"), 15, f"ends; {queue.begun()}")
    wait_for(lambda: queue.reserved() == 0, 5, "nothing reserved")
    assert sorted(queue.begun()) == ["early", "late", "queued", "waits"]


def test_what_a_killed_worker_had_reserved_begins_elsewhere_and_a_long_job_is_left_alone(queue):
    """The visibility timeout means that the holder is gone, however long its task takes."""
    doomed = queue.stack.start_worker(concurrency=1, TEST_VISIBILITY="3")
    queue.send("early", "dies", 60)
    wait_for(lambda: queue.begun() == ["dies"] and queue.reserved() == 0, 10, "one running")
    queue.send("early", "waits", 0.2)
    wait_for(lambda: queue.reserved() == 1, 10, "one reserved")
    for pid in [doomed.pid, *children_of(doomed.pid)]:
        os.kill(pid, signal.SIGKILL)
    for _ in range(2):
        queue.stack.start_worker(concurrency=1, TEST_VISIBILITY="3")
    queue.send("late", "long", 4.5)
    wait_for(lambda: queue.has_ended("waits", "long"), 20, f"both to end; {queue.begun()}")
    assert queue.begun().count("waits") == queue.begun().count("long") == 1


def test_a_worker_that_a_platform_stops_finishes_hands_back_or_says_that_it_was_interrupted(queue):
    """SIGTERM to every process, taken as SIGQUIT: seconds for what is nearly done, then an orderly end."""
    limits = {"REMAP_SIGTERM": "SIGQUIT", "TEST_SOFT_SHUTDOWN": "2"}
    worker = queue.stack.start_worker(concurrency=4, **limits)
    queue.send("early", "short", 1.5)
    queue.send("late", "short-late", 1.5)
    queue.send("early", "long", 60)
    queue.send("late", "long-late", 3.5)
    wait_for(lambda: len(queue.begun()) == 4 and queue.reserved() == 2, 10, "four running")
    for pid in [worker.pid, *children_of(worker.pid)]:
        os.kill(pid, signal.SIGTERM)
    worker.wait(15)
    assert queue.has_ended("short", "short-late")
    failed, waiting = queue.job("long"), queue.job("long-late")
    assert (failed.status, failed.error) == ("failed", INTERRUPTED)
    assert (waiting.status, waiting.error, waiting.attempt) == ("pending", INTERRUPTED, 2)
    queue.stack.start_worker(concurrency=2)
    wait_for(lambda: queue.has_ended("long-late"), 15, "the second run")
    assert queue.job("long-late").attempt == 2
    assert "Traceback" not in queue.stack.logs()
    assert [queue.begun().count(name) for name in ("short", "short-late", "long", "long-late")] == [
        1,
        1,
        1,
        2,
    ]
    wait_for(lambda: queue.reserved() == 0, 5, "nothing reserved")


@pytest.fixture
def held(valkey) -> Iterator[Held]:
    with Connection(valkey.url, transport_options={"visibility_timeout": 30}) as connection:
        yield Held(connection)
        connection.default_channel.client.delete("unacked", "unacked_index")


class Held:
    """Two messages that a consumer was handed and has not acknowledged; its task for the first one runs."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.name = uuid.uuid4().hex
        self.channel = connection.channel()
        self.consumer = SimpleNamespace(blueprint=SimpleNamespace(state=bootsteps.RUN))
        self.messages: list[Message] = []
        with Consumer(self.channel, [KombuQueue(self.name)], on_message=self.messages.append):
            for body in ("runs", "waits"):
                Producer(connection).publish(body, routing_key=self.name)
                connection.drain_events(timeout=5)

    def waiting(self) -> int:
        return self.connection.default_channel.client.llen(self.name)

    def unacknowledged(self) -> set[str]:
        return {tag.decode() for tag in self.connection.default_channel.client.hkeys("unacked")}


@pytest.fixture
def running(held, monkeypatch) -> Message:
    message = held.messages[0]
    request = SimpleNamespace(acknowledged=False, message=message)
    monkeypatch.setattr("jobcast.celery.visibility.state.active_requests", [request])
    return message


def test_a_closing_channel_gives_back_what_waits_and_keeps_what_runs(held, running):
    """The connection was lost, the broker is there; what runs can still be acknowledged afterwards."""
    VisibilityRenewer(held.channel, held.consumer)
    held.channel.close()
    assert (held.waiting(), held.unacknowledged()) == (1, {running.delivery_tag})
    running.ack()
    assert (held.waiting(), held.unacknowledged()) == (1, set())


def test_a_stopping_worker_gives_back_everything(held, running):
    """What it ran was cancelled, and has to run elsewhere."""
    VisibilityRenewer(held.channel, held.consumer)
    held.consumer.blueprint.state = bootsteps.CLOSE
    held.channel.close()
    assert (held.waiting(), held.unacknowledged()) == (2, set())


def test_the_next_connection_takes_over(held, running):
    """It gives back what was not begun, and renews and acknowledges the rest."""
    before, channel = VisibilityRenewer(held.channel, held.consumer), held.connection.channel()
    after = VisibilityRenewer(channel, held.consumer)
    after.succeed(before)
    assert (held.waiting(), held.unacknowledged()) == (1, {running.delivery_tag})
    channel.client.zadd("unacked_index", {running.delivery_tag: 1})
    after.renew()
    assert channel.client.zscore("unacked_index", running.delivery_tag) > 1
    running.ack()
    after.renew()
    assert held.unacknowledged() == set() == set(channel.client.zrange("unacked_index", 0, -1))
