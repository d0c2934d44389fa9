"""One message from the channel to everybody who follows its room.

Our own envelopes are cut, not decoded, and only when somebody here follows the room. Progress of one job
is capped per room, however many workers report it; everything else goes out at once.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from jobcast import envelope
from jobcast.debounce import Debouncer
from jobcast.envelope import Cut
from jobcast.errors import JobcastError, LedgerRefused, LedgerUnavailable
from jobcast.ledger import Ledger, Snapshot
from jobcast.server.delivery.subscriptions import PositionedEvent, Subscription, Subscriptions
from jobcast.server.delivery.write_batch import WriteBatch
from jobcast.server.protocol.events import Event
from jobcast.topics import JOB, Topic

logger = logging.getLogger(__name__)

#: Seconds of work before what came of it is sent and others on the hub get their turn.
SLICE_SECONDS: Final = 0.008
#: Clients of one room between two looks at the clock.
CLIENTS_PER_TURN: Final = 256


@dataclass(slots=True)
class Deliveries:
    """What went through since this process started."""

    received: int = 0
    nobody_here: int = 0
    merged: int = 0
    delivered: int = 0
    no_room: int = 0
    resynced: int = 0


class Fanout:
    """Delivers envelopes to subscriptions; ``interval`` is the rate cap per job, in seconds.

    What subscriptions are offered goes out with the next flush of the ``outbox``.
    """

    def __init__(
        self,
        subscriptions: Subscriptions,
        ledger: Ledger,
        interval: float,
        write_batch: WriteBatch | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.counters = Deliveries()
        #: Subscriptions of clients that do not read, in the order they fell behind.
        self.behind: dict[Subscription, None] = {}
        self.debouncer: Debouncer[str, Cut] = Debouncer(interval, clock)
        #: Whether the last resync came to its end; a store that is just back may not answer yet.
        self.in_step = True
        self._subscriptions = subscriptions
        self._ledger = ledger
        self._write_batch = write_batch or WriteBatch()
        self._clock = clock
        self._slice_ends = 0.0
        self._delivering = False

    def receive(self, message: bytes) -> bool:
        """Take one of our own envelopes from the channel; False for anybody else's."""
        self.counters.received += 1
        cut = envelope.cut(message)
        if cut is None:
            return False
        if self._subscriptions.has_followers(cut.room):
            self._cap(cut)
        else:
            self.counters.nobody_here += 1
        self.breathe_if_due()
        return True

    def flush(self) -> None:
        """Send what was delivered since the last time; for whoever has no more at hand."""
        self._write_batch.flush()
        self._slice_ends = self._clock() + SLICE_SECONDS

    def breathe_if_due(self) -> None:
        """In the middle of much work: send what came of it, and let others have their turn."""
        if self._clock() >= self._slice_ends:
            self._write_batch.breathe()
            self._slice_ends = self._clock() + SLICE_SECONDS

    @property
    def waiting(self) -> int:
        """Topics with an update that waits for its interval."""
        return len(self.debouncer.waiting())

    def release_due(self) -> None:
        """Deliver the progress whose interval is over; not into the middle of another delivery."""
        if self._delivering:
            return
        for cut in self.debouncer.due():
            self._deliver(cut)
        self._write_batch.flush()

    def answer(self, subscription: Subscription, snapshot: Snapshot) -> None:
        """Send a new subscriber what the ledger said, and let it go live."""
        state = self._state(subscription.topic, snapshot)
        subscription.go_live(state, snapshot.sequence, snapshot.epoch)
        if subscription.behind:
            self.behind[subscription] = None
        self._write_batch.flush()

    def go_on(self, before: Subscription, after: Subscription) -> None:
        """Let a subscription stand that ``after`` was to replace and could not."""
        if self._subscriptions.reopen(before, after) and before.behind:
            self.behind[before] = None
        self._write_batch.flush()

    def serve_those_behind(self) -> None:
        """Bring clients that read again up to what the ledger says."""
        for subscription in list(self.behind):
            if not self._subscriptions.is_open(subscription):
                del self.behind[subscription]
            elif subscription.transport.has_room():
                del self.behind[subscription]
                self._try_to_bring_up(subscription)

    def _try_to_bring_up(self, subscription: Subscription) -> None:
        try:
            self._bring_up(subscription)
        except LedgerUnavailable:
            self.behind[subscription] = None
        except LedgerRefused as error:
            logger.warning("%s cannot be read: %s", subscription.topic.room, error)
        self._write_batch.flush()

    def resync(self, topics: Sequence[Topic] | None = None) -> None:
        """Bring everybody here up to what the ledger says; after any gap on the channel."""
        topics = self._subscriptions.topics() if topics is None else topics
        try:
            for topic, position in zip(topics, self._ledger.positions(topics), strict=True):
                self._catch_up(topic, *position)
                self._write_batch.flush()
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
        ahead = [topic for topic in topics if self._reached(topic, positions[topic][1]) > positions[topic][0]]
        pause()
        short = [topic for topic in topics if self._short_of(topic, *positions[topic])]
        if ahead or short:
            self.resync([*ahead, *short])

    def _put_off(self, error: LedgerUnavailable) -> None:
        if self.in_step:
            logger.warning("resync is put off: %s", error)
        self.in_step = False

    def _cap(self, cut: Cut) -> None:
        if not cut.room.startswith(JOB.name):
            return self._deliver(cut)
        waits = self.debouncer.is_waiting(cut.room)
        ready = self.debouncer.offer(cut.room, cut, urgent=not cut.merge)
        self.counters.merged += waits
        if ready:
            self._deliver(ready)
        return None

    def _deliver(self, cut: Cut) -> None:
        followers = self._subscriptions.of_room(cut.room)
        if not followers or followers[0].topic.namespace.encode() != cut.namespace:
            return
        event = Event(cut.namespace, cut.event, cut.payload)
        self._delivering = True
        try:
            self._send(followers, cut.sequence, cut.epoch, event)
        finally:
            self._delivering = False

    def _send(self, followers: tuple[Subscription, ...], sequence: int, epoch: str, event: Event) -> None:
        for number, subscription in enumerate(followers, 1):
            self.counters.delivered += subscription.offer(sequence, epoch, event)
            if subscription.behind:
                self.counters.no_room += 1
                self.behind[subscription] = None
            if number % CLIENTS_PER_TURN == 0:
                self.breathe_if_due()

    def _live(self, topic: Topic) -> list[Subscription]:
        """Those who are sent what comes, and wait for nothing else."""
        return [s for s in self._subscriptions.of_room(topic.room) if s.waiting is None and not s.behind]

    def _reached(self, topic: Topic, epoch: str | None) -> int:
        """How far somebody here was brought in this epoch."""
        return max((subscription.reached(epoch) for subscription in self._live(topic)), default=0)

    def _short_of(self, topic: Topic, sequence: int, epoch: str | None) -> list[Subscription]:
        """Those who were not brought there. A topic that is not known will be restored by who reports it."""
        if epoch is None:
            return []
        return [s for s in self._live(topic) if s.epoch != epoch or s.sequence < sequence]

    def _catch_up(self, topic: Topic, sequence: int, epoch: str | None) -> None:
        try:
            if epoch is not None and (reached := self._reached(topic, epoch)) > sequence:
                # The store came back older than what somebody here was sent.
                epoch = self._ledger.advance_epoch(topic, epoch, reached)
            for subscription in self._short_of(topic, sequence, epoch):
                self._bring_up(subscription)
        except LedgerRefused as error:  # for ever, and must not keep the others waiting
            logger.warning("%s cannot be read: %s", topic.room, error)

    def _bring_up(self, subscription: Subscription) -> None:
        if subscription.waiting is not None:
            return  # somebody else is at it
        snapshot = self._read(subscription)
        if not self._subscriptions.is_open(subscription):
            return  # left, or joined anew, while the ledger was read
        missed = self._state(subscription.topic, snapshot)
        self.counters.resynced += 1
        self.counters.delivered += subscription.go_live(missed, snapshot.sequence, snapshot.epoch)
        if subscription.behind:
            self.behind[subscription] = None

    def _read(self, subscription: Subscription) -> Snapshot:
        """What the ledger says; what arrives meanwhile must not overtake it, so it waits."""
        subscription.hold()
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

    def _state(self, topic: Topic, snapshot: Snapshot) -> list[PositionedEvent]:
        """A snapshot's events; what was held back of an epoch that is over is not sent after them."""
        held = self.debouncer.held(topic.room)
        if held is not None and held.epoch != snapshot.epoch:
            self.debouncer.forget(topic.room)
        return packets(topic, snapshot)


def packets(topic: Topic, snapshot: Snapshot) -> list[PositionedEvent]:
    """A snapshot's events as sequence, epoch and encoded event."""
    found = []
    for stored in snapshot.events:
        payload = stored.payload.encode()
        sequence, epoch = envelope.position(payload) or (snapshot.sequence, snapshot.epoch or "")
        event = Event(topic.namespace.encode(), stored.event.encode(), payload)
        found.append((sequence, epoch, event))
    return found
