"""One message from the channel to everybody who follows its room.

Our own envelopes are cut, not decoded, and only when somebody here follows the room. Progress of one job
is capped per room, however many workers report it; everything else goes out at once.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from engineio.packet import MESSAGE, Packet

from jobcast import envelope
from jobcast.debounce import Debouncer
from jobcast.envelope import Cut
from jobcast.errors import LedgerUnavailable
from jobcast.ledger import Ledger, Snapshot
from jobcast.topics import JOB, Topic
from web.fanout.subscriptions import Placed, Subscription, Subscriptions

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Counters:
    """What went through since this process started."""

    received: int = 0
    nobody_here: int = 0
    merged: int = 0
    delivered: int = 0
    resynced: int = 0


class Fanout:
    """Delivers envelopes to subscriptions; ``interval`` is the rate cap per job, in seconds."""

    def __init__(self, subscriptions: Subscriptions, ledger: Ledger, interval: float) -> None:
        self.counters = Counters()
        #: Subscriptions of clients that do not read, in the order they fell behind.
        self.behind: dict[Subscription, None] = {}
        self.debouncer: Debouncer[str, Cut] = Debouncer(interval)
        self._subscriptions = subscriptions
        self._ledger = ledger

    def receive(self, message: str) -> bool:
        """Take one of our own envelopes from the channel; False for anybody else's."""
        self.counters.received += 1
        cut = envelope.cut(message)
        if cut is None:
            return False
        if self._subscriptions.of_room(cut.room):
            self._cap(cut)
        else:
            self.counters.nobody_here += 1
        return True

    def release_due(self) -> None:
        """Deliver the progress whose interval is over."""
        for cut in self.debouncer.due():
            self._deliver(cut)

    def answer(self, subscription: Subscription, snapshot: Snapshot) -> None:
        """Send a new subscriber what the ledger said, and let it go live."""
        state = packets(subscription.topic, snapshot)
        subscription.go_live(state, snapshot.sequence, snapshot.epoch)
        if subscription.behind:
            self.behind[subscription] = None

    def serve_those_behind(self) -> None:
        """Bring clients that read again up to what the ledger says."""
        for subscription in list(self.behind):
            if not self._subscriptions.is_open(subscription):
                del self.behind[subscription]
            elif subscription.way.has_room():
                del self.behind[subscription]
                self._try_to_bring_up(subscription)

    def _try_to_bring_up(self, subscription: Subscription) -> None:
        try:
            self._bring_up(subscription)
        except LedgerUnavailable:
            self.behind[subscription] = None

    def resync(self) -> None:
        """Bring everybody here up to what the ledger says; after any gap on the channel."""
        topics = self._subscriptions.topics()
        try:
            positions = self._ledger.positions(topics)
            for topic, position in zip(topics, positions, strict=True):
                self._catch_up(topic, *position)
        except LedgerUnavailable as error:
            logger.warning("resync is put off: %s", error)

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
        place = envelope.position(cut.payload)
        if place is None:
            logger.error("an envelope without a position was dropped: %s", cut.room)
            return
        packet = event_packet(cut.namespace, cut.event, cut.payload)
        for subscription in self._subscriptions.of_room(cut.room):
            self.counters.delivered += subscription.offer(*place, packet)
            if subscription.behind:
                self.behind[subscription] = None

    def _catch_up(self, topic: Topic, sequence: int, epoch: str | None) -> None:
        behind = [
            subscription
            for subscription in self._subscriptions.of_room(topic.room)
            if subscription.waiting is None
            and not subscription.behind
            and sequence
            and (subscription.epoch != epoch or subscription.sequence < sequence)
        ]
        if not behind:
            return
        for subscription in behind:
            self._bring_up(subscription)

    def _bring_up(self, subscription: Subscription) -> None:
        topic = subscription.topic
        snapshot = self._ledger.read(topic, subscription.sequence, subscription.epoch)
        missed = packets(topic, snapshot)
        self.counters.resynced += 1
        self.counters.delivered += subscription.catch_up(missed, snapshot.sequence, snapshot.epoch)
        if subscription.behind:
            self.behind[subscription] = None


def packets(topic: Topic, snapshot: Snapshot) -> list[Placed]:
    """A snapshot's events as sequence, epoch and encoded packet."""
    found = []
    for event in snapshot.events:
        sequence, epoch = envelope.position(event.payload) or (snapshot.sequence, snapshot.epoch or "")
        found.append((sequence, epoch, event_packet(topic.namespace, event.event, event.payload)))
    return found


def event_packet(namespace: str, event: str, payload: str) -> Packet:
    """A Socket.IO EVENT packet around JSON that is already there."""
    return Packet(MESSAGE, f'2{namespace},["{event}",{payload}]')
