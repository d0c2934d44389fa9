"""Delivery where reports, clients, comparisons and what is held back have a thread each."""

from __future__ import annotations

import contextlib
import json
import queue
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence

import pytest

from jobcast.ledger import MemoryLedger, Snapshot
from jobcast.models import JobStatusUpdate
from jobcast.position import Position
from jobcast.server.delivery.resync import Resync
from jobcast.server.delivery.threads import ThreadedDebouncer, ThreadedFanout, ThreadedSubscriptions
from jobcast.server.protocol.events import Event
from jobcast.server.redis.channels import Channels
from jobcast.topics import Topic, job_topic

TOPICS = [job_topic(f"j{number}") for number in range(3)]
CLIENTS = 8
SECONDS = 1.0


class Store(MemoryLedger):
    """A memory ledger that one thread at a time uses, and that answers a little later, as Redis does."""

    def __init__(self, publish: Callable[[str], None]) -> None:
        super().__init__(publish)
        self._lock = threading.RLock()

    def report(self, topic: Topic, done: int) -> None:
        with self._lock:
            self.append_job(JobStatusUpdate(job_id=topic.id, status="in_progress", completed=done))

    def read(self, topic: Topic, since: int | None = None, epoch: str | None = None) -> Snapshot:
        with self._lock:
            snapshot = super().read(topic, since, epoch)
        time.sleep(0.0005)
        return snapshot

    def positions(self, topics: Sequence[Topic]) -> list[Position]:
        with self._lock:
            found = super().positions(topics)
        time.sleep(0.0005)
        return found


class Page:
    """A client's one visit to a topic; it does not always read."""

    eio_sid = "page"

    def __init__(self, *, slow: bool) -> None:
        self.seen: list[int] = []
        self._slow = slow

    def send(self, event: Event) -> bool:
        if self._slow and random.random() < 0.3:
            return False
        time.sleep(0)  # as putting into a queue, a moment at which another thread runs
        self.seen.append(json.loads(event.packet.data.partition(",")[2])[1]["sequence"])
        return True

    def has_room(self) -> bool:
        return True


class House:
    """A store, a fan-out, and the threads that run in a web process."""

    def __init__(self) -> None:
        self.channel: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.store = Store(self.channel.put)
        self.subscriptions = ThreadedSubscriptions()
        debouncer: ThreadedDebouncer = ThreadedDebouncer(0.003)
        self.fanout = ThreadedFanout(self.subscriptions, 0.003, debouncer=debouncer)
        self.resync = Resync(self.fanout, self.subscriptions, self.store)
        self.failed: list[Exception] = []
        self.over = threading.Event()
        self.visits: list[Page] = []
        self._threads: list[threading.Thread] = []

    def join(self, sid: str, topic: Topic, *, slow: bool) -> Page:
        """What ``Subscriber.subscribe`` does."""
        page = Page(slow=slow)
        self.visits.append(page)
        subscription = self.subscriptions.open(sid, topic, page)
        self.fanout.answer(subscription, self.store.read(topic))
        return page

    def listen(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                self.fanout.receive(self.channel.get(timeout=0.01).encode())

    def release(self) -> None:
        self.resync.those_behind()
        self.fanout.debouncer.next_due()
        time.sleep(0.001)
        self.fanout.release_due()

    def compare(self) -> None:
        self.resync.compare(lambda: time.sleep(0.01))
        self.resync.everybody()

    def spawn(self, work: Callable[[], object]) -> None:
        def run() -> None:
            try:
                while not self.over.is_set():
                    work()
            except Exception as error:  # noqa: BLE001
                self.failed.append(error)

        self._threads.append(threading.Thread(target=run, daemon=True))
        self._threads[-1].start()

    def stop(self) -> None:
        self.over.set()
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive(), "a thread hangs"
        if self.failed:
            raise self.failed[0]

    def settle(self) -> None:
        """Deliver what is on its way."""
        self.listen()
        deadline = time.monotonic() + 5
        while (self.fanout.waiting or self.fanout.behind) and time.monotonic() < deadline:
            self.release()


@pytest.fixture
def _threads_switch_often() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("_threads_switch_often")
def test_no_update_is_lost_and_none_goes_back_however_threads_interleave():
    """Clients come, go and fall behind while jobs report; whoever stays ends on the last state."""
    house = House()
    counts = dict.fromkeys(TOPICS, 0)
    stay = {topic: house.join("stays", topic, slow=True) for topic in TOPICS}

    def report() -> None:
        topic = random.choice(TOPICS)
        counts[topic] += 1
        house.store.report(topic, counts[topic])
        time.sleep(0.0005)

    def come_and_go(sid: str) -> Callable[[], None]:
        def visit() -> None:
            topic = random.choice(TOPICS)
            house.join(sid, topic, slow=random.random() < 0.5)
            time.sleep(random.random() * 0.004)
            if random.random() < 0.7:
                house.subscriptions.close(sid, topic.room)
            elif random.random() < 0.5:
                house.subscriptions.close_all(sid)

        return visit

    for loop in (report, house.listen, house.listen, house.release, house.compare):
        house.spawn(loop)
    for number in range(CLIENTS):
        house.spawn(come_and_go(f"client{number}"))
    time.sleep(SECONDS)
    house.stop()
    house.settle()

    assert len(house.visits) > 100
    for page in house.visits:
        assert page.seen == sorted(set(page.seen)), "a step back"
    for topic, page in stay.items():
        assert page.seen[-1] == house.store.read(topic).sequence == counts[topic]


@pytest.mark.usefixtures("_threads_switch_often")
def test_a_topic_is_listened_to_as_long_as_anybody_follows_it():
    """Whoever joins does not lose the channel to the one who leaves last at that moment."""
    said: set[str] = set()
    channels = Channels("shared", per_topic=True)

    def say(command: str, channel: str) -> None:
        said.add(channel) if command == "SUBSCRIBE" else said.discard(channel)

    channels.connected(say)

    def leave(topic: Topic) -> None:
        time.sleep(0)
        channels.leave(topic)

    subscriptions = ThreadedSubscriptions(on_unused=leave)
    topic = TOPICS[0]
    missed: list[str] = []

    def come_and_go(sid: str) -> None:
        for _ in range(100):
            subscriptions.open(sid, topic, Page(slow=False))
            channels.ask(topic)
            time.sleep(0.0002)
            if not said:
                missed.append(sid)
            subscriptions.close(sid, topic.room)

    threads = [threading.Thread(target=come_and_go, args=(f"s{number}",)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert not missed
    assert not said
    assert not len(subscriptions)


def test_a_client_that_joins_anew_is_sent_nothing_by_its_old_place():
    """A thread that still holds the old place must not send a step back after the new one's state."""
    subscriptions = ThreadedSubscriptions()
    old_page, new_page = Page(slow=False), Page(slow=False)
    old = subscriptions.open("s", TOPICS[0], old_page)
    old.go_live([], 1, "e")
    subscriptions.open("s", TOPICS[0], new_page)
    assert not old.offer(2, "e", Event(b"/jobs", b"x", b'{"sequence": 2}'))
    assert not old_page.seen


def test_only_one_thread_brings_a_client_up_to_date():
    """A second that held anew would forget what the first had kept back."""
    subscriptions = ThreadedSubscriptions()
    subscription = subscriptions.open("s", TOPICS[0], Page(slow=False))
    assert not subscription.hold()
    subscription.go_live([], 1, "e")
    assert subscription.hold()
    assert not subscription.hold()
