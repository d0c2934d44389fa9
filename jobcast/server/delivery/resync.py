"""Bringing everybody up to what the ledger says: after a gap on the channel, a pause, an older store."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from jobcast.errors import JobcastError, LedgerRefused, LedgerUnavailable
from jobcast.ledger import Ledger, Snapshot
from jobcast.position import Position
from jobcast.server.delivery.fanout import Fanout
from jobcast.server.delivery.subscriptions import Subscription, Subscriptions
from jobcast.topics import Topic

logger = logging.getLogger(__name__)


class Resync:
    """Reads the ledger for subscriptions that a message did not reach."""

    def __init__(self, fanout: Fanout, subscriptions: Subscriptions, ledger: Ledger) -> None:
        #: Whether the last resync came to its end; a store that is just back may not answer yet.
        self.in_step = True
        self._fanout = fanout
        self._subscriptions = subscriptions
        self._ledger = ledger

    def those_behind(self) -> None:
        """Bring clients that read again up to what the ledger says."""
        for subscription in list(self._fanout.behind):
            if not self._subscriptions.is_open(subscription):
                self._fanout.behind.pop(subscription, None)
            elif subscription.transport.has_room():
                self._fanout.behind.pop(subscription, None)
                self._try_to_bring_up(subscription)

    def _try_to_bring_up(self, subscription: Subscription) -> None:
        try:
            self._bring_up(subscription)
        except LedgerUnavailable:
            self._fanout.behind[subscription] = None
        except LedgerRefused as error:
            logger.warning("%s cannot be read: %s", subscription.topic.room, error)
        self._fanout.flush()

    def everybody(self, topics: Sequence[Topic] | None = None) -> None:
        """Bring everybody here up to what the ledger says; after any gap on the channel."""
        topics = self._subscriptions.topics() if topics is None else topics
        try:
            for topic, position in zip(topics, self._ledger.positions(topics), strict=True):
                self._catch_up(topic, position)
                self._fanout.flush()
            self.in_step = True
        except LedgerUnavailable as error:
            self._put_off(error)

    def compare(self, pause: Callable[[], None]) -> None:
        """Look for a gap that nobody told of; what is on its way has the time of ``pause`` to arrive."""
        topics = self._subscriptions.topics()
        try:
            positions = dict(zip(topics, self._ledger.positions(topics), strict=True))
        except LedgerUnavailable as error:
            self._put_off(error)
            return
        ahead = [t for t in topics if self._reached(t, positions[t].epoch) > positions[t].sequence]
        pause()
        short = [topic for topic in topics if self._short_of(topic, positions[topic])]
        if ahead or short:
            self.everybody([*ahead, *short])

    def _put_off(self, error: LedgerUnavailable) -> None:
        if self.in_step:
            logger.warning("resync is put off: %s", error)
        self.in_step = False

    def _live(self, topic: Topic) -> list[Subscription]:
        """Those who are sent what comes, and wait for nothing else."""
        return [s for s in self._subscriptions.of_room(topic.room) if s.waiting is None and not s.behind]

    def _reached(self, topic: Topic, epoch: str | None) -> int:
        """How far somebody here was brought in this epoch."""
        return max((subscription.reached(epoch) for subscription in self._live(topic)), default=0)

    def _short_of(self, topic: Topic, stored: Position) -> list[Subscription]:
        """Those who were not brought there. A topic that is not known will be restored by who reports it."""
        if stored.epoch is None:
            return []
        return [s for s in self._live(topic) if s.epoch != stored.epoch or s.sequence < stored.sequence]

    def _catch_up(self, topic: Topic, stored: Position) -> None:
        try:
            epoch = stored.epoch
            if epoch is not None and (reached := self._reached(topic, epoch)) > stored.sequence:
                # The store came back older than what somebody here was sent.
                stored = stored._replace(epoch=self._ledger.advance_epoch(topic, epoch, reached))
            for subscription in self._short_of(topic, stored):
                self._bring_up(subscription)
        except LedgerRefused as error:  # for ever, and must not keep the others waiting
            logger.warning("%s cannot be read: %s", topic.room, error)

    def _bring_up(self, subscription: Subscription) -> None:
        if not subscription.hold():
            return  # somebody else is at it
        snapshot = self._read(subscription)
        if not self._subscriptions.is_open(subscription):
            return  # left, or joined anew, while the ledger was read
        self._fanout.counters.resynced += 1
        self._fanout.counters.delivered += self._fanout.bring_up(subscription, snapshot)

    def _read(self, subscription: Subscription) -> Snapshot:
        """What the ledger says; what arrives meanwhile must not overtake it, so it is held back."""
        try:
            return self._read_on(subscription)
        except JobcastError:
            subscription.let_go()
            raise

    def _read_on(self, subscription: Subscription) -> Snapshot:
        topic, since, epoch = subscription.topic, subscription.sequence, subscription.epoch
        snapshot = self._ledger.read(topic, since, epoch)
        reached = subscription.reached(snapshot.epoch)
        if snapshot.epoch is None or reached <= snapshot.sequence:
            return snapshot
        self._ledger.advance_epoch(topic, snapshot.epoch, reached)
        return self._ledger.read(topic, since, epoch)
