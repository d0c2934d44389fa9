"""The fan-out and what it reads from the ledger, where one overtakes the other."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import pytest

from jobcast.errors import LedgerRefused, LedgerUnavailable
from jobcast.ledger import MemoryLedger, Snapshot
from jobcast.models import JobStatus, JobStatusUpdate
from jobcast.server.delivery.fanout import Fanout
from jobcast.server.delivery.resync import Resync
from jobcast.server.delivery.subscriptions import Subscription, Subscriptions
from jobcast.server.protocol.events import Event
from jobcast.topics import Topic, job_topic
from tests.clock import FakeClock

TOPIC = job_topic("j")
Hook = Callable[[], object]


class Store(MemoryLedger):
    """A memory ledger where something may happen while it is read, or which cannot be read."""

    def __init__(self, publish: Callable[[str], None]) -> None:
        super().__init__(publish)
        self.meanwhile: list[Hook] = []
        self.broken: set[Topic] = set()
        self.away = False

    def read(self, topic: Topic, since: int | None = None, epoch: str | None = None) -> Snapshot:
        if topic in self.broken:
            raise LedgerRefused("WRONGTYPE")
        snapshot = super().read(topic, since, epoch)
        while self.meanwhile:
            self.meanwhile.pop()()
        return snapshot

    def positions(self, topics: Sequence[Topic]) -> list[tuple[int, str | None]]:
        if self.away:
            raise LedgerUnavailable("away")
        return super().positions(topics)


class Page:
    """A client; ``seen`` is what it was sent."""

    eio_sid = "page"

    def __init__(self) -> None:
        self.seen: list[dict] = []
        self.reads = True

    def send(self, event: Event) -> bool:
        if self.reads:
            self.seen.append(json.loads(event.packet.data.partition(",")[2])[1])
        return self.reads

    def has_room(self) -> bool:
        return self.reads

    def places(self) -> list[int]:
        return [update["sequence"] for update in self.seen]


class Desk:
    """A store, a fan-out that caps at one update a second, and what travels between them."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.channel: list[str] = []
        self.store = Store(self.channel.append)
        self.subscriptions = Subscriptions()
        self.fanout = Fanout(self.subscriptions, 1.0, clock=self.clock)
        self.resync = Resync(self.fanout, self.subscriptions, self.store)

    def report(self, progress: float, status: JobStatus = "in_progress", job_id: str = "j") -> None:
        self.store.append_job(JobStatusUpdate(job_id=job_id, status=status, progress=progress))

    def deliver(self) -> None:
        """Hand on all that is on the channel."""
        while self.channel:
            self.fanout.receive(self.channel.pop(0).encode())

    def follow(self, topic: Topic = TOPIC, name: str = "page") -> tuple[Page, Subscription]:
        page = Page()
        subscription = self.subscriptions.open(name, topic, page)
        self.fanout.answer(subscription, self.store.read(topic))
        return page, subscription


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_an_end_that_overtakes_a_comparison_is_told_once(desk):
    """It arrives live while the ledger is read; the next comparison does not tell it again."""
    desk.report(10)
    desk.deliver()
    page, _ = desk.follow()
    desk.report(20)
    desk.channel.clear()  # lost
    desk.store.meanwhile = [lambda: desk.report(100, "completed"), desk.deliver]
    desk.store.meanwhile.reverse()
    desk.resync.everybody()
    desk.resync.everybody()
    assert page.places() == [1, 2, 3]


def test_what_was_held_back_before_the_store_was_lost_is_not_sent_after_what_was_restored(desk):
    """An update waits for its interval; the store comes back empty, and the job ends."""
    desk.report(10)
    desk.deliver()
    page, _ = desk.follow()
    for progress in (20, 30):
        desk.report(progress)
        desk.deliver()
    assert desk.fanout.waiting == 1
    desk.store.lose_everything()
    desk.report(100, "completed")
    desk.channel.clear()  # nobody listened yet
    desk.resync.everybody()
    desk.clock.advance(2)
    desk.fanout.release_due()
    assert page.seen[-1]["status"] == "completed"


def test_whoever_leaves_while_the_ledger_is_read_for_it_is_sent_nothing_more(desk):
    """Nor is whoever joined anew sent everything twice."""
    desk.report(10)
    desk.deliver()
    gone, _ = desk.follow()
    desk.report(20)
    desk.channel.clear()  # lost
    again: list[Page] = []
    desk.store.meanwhile = [lambda: again.append(desk.follow()[0])]
    desk.resync.everybody()
    assert (gone.places(), again[0].places()) == ([1], [2])


def test_a_client_that_reads_again_is_told_what_comes_meanwhile_in_its_turn(desk):
    """It was behind; an end arrives while it is brought up."""
    page, _ = desk.follow()
    page.reads = False
    desk.report(10)
    desk.deliver()
    page.reads = True
    desk.store.meanwhile = [desk.deliver, lambda: desk.report(100, "completed")]
    desk.resync.those_behind()
    assert page.places() == [1, 2]


def test_what_arrives_while_the_ledger_cannot_be_read_is_delivered(desk):
    """The comparison fails half-transport, is known to have failed, and is made again."""
    page, _ = desk.follow()
    desk.report(10)
    desk.channel.clear()  # lost
    desk.store.away = True
    desk.resync.everybody()
    assert not desk.resync.in_step
    desk.report(20)
    desk.deliver()
    desk.store.away = False
    desk.resync.everybody()
    assert desk.resync.in_step
    assert page.places() == [2]


def test_a_topic_that_cannot_be_read_keeps_no_other_from_being_compared(desk):
    """Somebody else wrote to its key."""
    broken = job_topic("broken")
    desk.report(10, job_id="broken")
    desk.report(10)
    desk.follow(broken)
    page = Page()
    desk.subscriptions.open("other", TOPIC, page).go_live([], 0, None)
    desk.store.broken = {broken}
    desk.subscriptions.of_room(broken.room)[0].sequence = 0
    desk.resync.everybody()
    assert page.places() == [1]


def test_a_store_that_comes_back_older_keeps_nobody_from_the_end(desk):
    """It numbers anew from what it remembers; the bar goes on from there, under a new epoch."""
    desk.report(10)
    desk.deliver()
    page, _ = desk.follow()
    come_back = desk.store.remember()
    desk.clock.advance(2)
    for progress in (20, 30, 40):
        desk.report(progress)
        desk.deliver()
        desk.clock.advance(2)
    come_back()
    desk.resync.everybody()
    desk.report(100, "completed")
    desk.deliver()
    assert page.places() == [1, 2, 3, 4, 1, 2]
    assert page.seen[3]["epoch"] != page.seen[4]["epoch"] == page.seen[5]["epoch"]
    assert page.seen[-1]["status"] == "completed"


def test_a_client_that_was_behind_when_the_store_came_back_older_reads_on(desk):
    """Nobody else follows the topic."""
    page, _ = desk.follow()
    desk.report(10)
    come_back = desk.store.remember()
    desk.report(20)
    desk.deliver()
    desk.resync.everybody()
    page.reads = False
    desk.report(30, "pending")
    desk.deliver()
    come_back()
    page.reads = True
    desk.resync.those_behind()
    assert [update["progress"] for update in page.seen] == [10, 20, 10]
    assert page.seen[1]["epoch"] != page.seen[2]["epoch"]


def test_what_is_delivered_while_positions_are_compared_is_not_taken_for_a_loss(desk):
    """The comparison's answer is older than what came meanwhile; the epoch stays."""
    desk.report(10)
    desk.deliver()
    page, _ = desk.follow()
    (place,) = desk.store.positions([TOPIC])
    desk.report(100, "completed")
    desk.deliver()
    desk.store.positions = lambda topics: [place]
    desk.resync.everybody()
    assert page.places() == [1, 2]
    assert desk.store.job("j").epoch == page.seen[0]["epoch"]


def test_what_is_on_its_way_from_an_epoch_that_is_over_is_not_sent(desk):
    """The worker reported and began a new epoch, because the store was older; a comparison overtakes that."""
    desk.report(10)
    desk.deliver()
    page, subscription = desk.follow()
    for progress in (20, 30):
        desk.clock.advance(2)
        desk.report(progress)
        desk.deliver()
    desk.report(40)
    desk.store.advance_epoch(TOPIC, subscription.epoch, 9)
    desk.resync.everybody()
    desk.clock.advance(2)
    desk.deliver()
    desk.clock.advance(2)
    desk.report(100, "completed")
    desk.deliver()
    assert [update["progress"] for update in page.seen] == [10, 20, 30, 40, 100]


def test_a_store_that_goes_back_to_an_epoch_that_was_over_is_given_another_one(desk):
    """It came back older twice, each time from before the first."""
    desk.report(10)
    desk.deliver()
    page, _ = desk.follow()
    come_back = desk.store.remember()
    desk.report(20, "pending")
    desk.deliver()
    for _ in range(2):
        come_back()
        desk.resync.everybody()
    desk.report(100, "completed")
    desk.deliver()
    epochs = [update["epoch"] for update in page.seen]
    assert [update["progress"] for update in page.seen] == [10, 20, 10, 10, 100]
    assert len(set(epochs)) == 3
    assert epochs == sorted(epochs, key=epochs.index)


def test_what_is_on_its_way_during_a_comparison_is_no_gap(desk):
    """It is not read for every follower; what has not come by then is."""
    desk.report(10)
    desk.deliver()
    pages = [desk.follow(name=f"page{number}")[0] for number in range(3)]
    desk.report(20, "pending")
    desk.resync.compare(desk.deliver)
    assert desk.fanout.counters.resynced == 0
    desk.report(30)
    desk.resync.compare(desk.channel.clear)  # lost
    assert desk.fanout.counters.resynced == 3
    assert [page.places() for page in pages] == [[1, 2, 3]] * 3


def test_a_comparison_finds_a_store_that_came_back_older(desk):
    """On a connection that was never lost."""
    desk.report(10)
    desk.deliver()
    come_back = desk.store.remember()
    page, _ = desk.follow()
    desk.report(20, "pending")
    desk.deliver()
    come_back()
    desk.resync.compare(lambda: None)
    assert [update["progress"] for update in page.seen] == [10, 20, 10]
