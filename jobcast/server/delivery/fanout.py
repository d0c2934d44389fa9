"""One message from the channel to everybody who follows its room.

Our own envelopes are cut, not decoded, and only when somebody here follows the room. Progress of one job
is capped per room, however many workers report it; everything else goes out at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from jobcast import envelope
from jobcast.debounce import Debouncer
from jobcast.envelope import Cut
from jobcast.ledger import Snapshot
from jobcast.position import Position
from jobcast.server.delivery.subscriptions import PositionedEvent, Subscription, Subscriptions
from jobcast.server.delivery.write_batch import WriteBatch
from jobcast.server.protocol.events import Event
from jobcast.topics import JOB, Topic

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

    What subscriptions are offered goes out with the next flush of the ``write_batch``.
    """

    def __init__(
        self,
        subscriptions: Subscriptions,
        interval: float,
        write_batch: WriteBatch | None = None,
        clock: Callable[[], float] = time.monotonic,
        debouncer: Debouncer[str, Cut] | None = None,
    ) -> None:
        self.counters = Deliveries()
        #: Subscriptions of clients that do not read, in the order they fell behind.
        self.behind: dict[Subscription, None] = {}
        # An empty one is false.
        self.debouncer = Debouncer[str, Cut](interval, clock) if debouncer is None else debouncer
        self._subscriptions = subscriptions
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
        self.bring_up(subscription, snapshot)
        self._write_batch.flush()

    def bring_up(self, subscription: Subscription, snapshot: Snapshot) -> int:
        """Send a subscription that holds back what the ledger said, then what came meanwhile; how much."""
        state = self.state(subscription.topic, snapshot)
        sent = subscription.go_live(state, snapshot.sequence, snapshot.epoch)
        if subscription.behind:
            self.behind[subscription] = None
        return sent

    def go_on(self, before: Subscription, after: Subscription) -> None:
        """Let a subscription stand that ``after`` was to replace and could not."""
        if self._subscriptions.reopen(before, after) and before.behind:
            self.behind[before] = None
        self._write_batch.flush()

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

    def state(self, topic: Topic, snapshot: Snapshot) -> list[PositionedEvent]:
        """A snapshot's events; what was held back of an epoch that is over is not sent after them."""
        held = self.debouncer.held(topic.room)
        if held is not None and held.epoch != snapshot.epoch:
            self.debouncer.drop(topic.room, held)
        return events_of(topic, snapshot)


def events_of(topic: Topic, snapshot: Snapshot) -> list[PositionedEvent]:
    """A snapshot's events as sequence, epoch and encoded event."""
    found = []
    for stored in snapshot.events:
        payload = stored.payload.encode()
        at = envelope.position(payload) or Position(snapshot.sequence, snapshot.epoch)
        event = Event(topic.namespace.encode(), stored.event.encode(), payload)
        found.append((at.sequence, at.epoch or "", event))
    return found
