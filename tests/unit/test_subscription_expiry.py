"""A connection that stays open for weeks does not collect subscriptions to jobs that nobody knows."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from jobcast.errors import LedgerUnavailable
from jobcast.ledger import MemoryLedger
from jobcast.models import JobStatusUpdate
from jobcast.server.delivery.subscription_expiry import SubscriptionExpiry
from jobcast.server.delivery.subscriptions import Subscriptions
from jobcast.server.protocol.events import Event
from jobcast.topics import Topic, brand_topic, job_topic, user_topic
from tests.clock import FakeClock

RETENTION = 100


class Store(MemoryLedger):
    """A memory ledger that can be taken away."""

    away = False

    def positions(self, topics: Sequence[Topic]) -> list[tuple[int, str | None]]:
        if self.away:
            raise LedgerUnavailable("away")
        return super().positions(topics)


class Nowhere:
    """A way out that takes everything."""

    def send(self, event: Event) -> bool:
        return True

    def has_room(self) -> bool:
        return True


class Desk:
    """Two clients, a store and their clock."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.store = Store(retention=RETENTION, clock=self.clock)
        self.subscriptions = Subscriptions()
        self.subscription_expiry = SubscriptionExpiry(self.subscriptions, self.store, RETENTION, self.clock)

    def follow(self, *topics: Topic) -> None:
        for topic in topics:
            for sid in ("one", "two"):
                self.subscriptions.open(sid, topic, Nowhere())

    def report(self, job_id: str, status: str) -> None:
        self.store.append_job(JobStatusUpdate(job_id=job_id, status=status))

    def pass_time(self, seconds: float) -> None:
        for _ in range(round(seconds / 10)):
            self.clock.advance(10)
            self.subscription_expiry.look()

    def followed(self) -> set[str]:
        return {topic.id for topic in self.subscriptions.topics()}


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_a_job_that_was_forgotten_is_let_go_of(desk):
    """It ended, the ledger kept it for its time, and for as long again nobody reported it."""
    desk.follow(job_topic("over"), job_topic("running"))
    desk.report("over", "completed")
    desk.report("running", "in_progress")
    desk.pass_time(1.8 * RETENTION)
    assert desk.followed() == {"over", "running"}
    desk.pass_time(0.4 * RETENTION)
    assert desk.followed() == {"running"}
    assert len(desk.subscriptions) == 2
    assert not desk.subscription_expiry._unknown_since


def test_a_job_that_never_was_is_let_go_of(desk):
    """Somebody follows ids that he guessed."""
    desk.follow(job_topic("guessed"))
    desk.pass_time(1.2 * RETENTION)
    assert not desk.followed()


def test_inboxes_and_brands_stay(desk):
    """Nothing in them is no sign of their end."""
    desk.follow(user_topic("ana"), brand_topic("acme"))
    desk.pass_time(3 * RETENTION)
    assert desk.followed() == {"ana", "acme"}


def test_a_job_that_is_reported_in_time_starts_anew(desk):
    """It waited long before it was queued."""
    desk.follow(job_topic("late"))
    desk.pass_time(0.9 * RETENTION)
    desk.report("late", "in_progress")
    desk.pass_time(0.5 * RETENTION)
    desk.store.lose_everything()
    desk.pass_time(0.9 * RETENTION)
    assert desk.followed() == {"late"}


def test_nothing_is_let_go_of_while_the_store_is_away(desk):
    """Nobody can tell then what is known."""
    desk.follow(job_topic("j"))
    desk.report("j", "in_progress")
    desk.store.away = True
    desk.pass_time(3 * RETENTION)
    desk.store.away = False
    desk.pass_time(0.5 * RETENTION)
    assert desk.followed() == {"j"}
