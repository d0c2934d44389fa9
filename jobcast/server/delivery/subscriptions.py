"""Who follows which room in this process, and how far each of them has got.

A subscription opens before the ledger is read and goes live after the state was sent. What arrives in
between waits in it, so that there is neither a gap nor a step back: a client never sees a sequence that
is not above the last one it was sent. A client that does not read is *behind*: it is sent nothing until it
reads again, and then what the ledger says it missed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

from jobcast.server.protocol.events import Event
from jobcast.topics import Topic

#: Sequence, epoch and encoding of one event.
PositionedEvent = tuple[int, str, Event]


class Transport(Protocol):
    """Where a client's packets go; an ClientTransport."""

    @property
    def eio_sid(self) -> str: ...

    def send(self, event: Event) -> bool: ...

    def has_room(self) -> bool: ...


@dataclass(slots=True, eq=False)
class Subscription:
    """One client's place in one topic."""

    sid: str
    topic: Topic
    transport: Transport
    sequence: int = 0
    epoch: str | None = None
    #: The epoch before this one; what is still on its transport from there is not sent any more.
    left: str | None = None
    behind: bool = False
    waiting: list[PositionedEvent] | None = field(default_factory=list)

    def offer(self, sequence: int, epoch: str, event: Event) -> bool:
        """Send what is newer than what the client has; whether it was sent."""
        if self.waiting is not None:
            self.waiting.append((sequence, epoch, event))
            return False
        if self.behind or (epoch == self.epoch and sequence <= self.sequence) or epoch == self.left:
            return False
        if not self.transport.send(event):
            self.behind = True
            return False
        self._move_to(sequence, epoch)
        return True

    def reached(self, epoch: str | None) -> int:
        """How far the client was brought in this epoch; further than anything can be in one that is over."""
        if epoch is None:
            return 0
        if epoch == self.left:
            return sys.maxsize
        return self.sequence if epoch == self.epoch else 0

    def hold(self) -> bool:
        """Keep back what arrives while the ledger is read, until ``go_live`` or ``let_go``.

        False when somebody else does already, who will bring the client up to date.
        """
        if self.waiting is not None:
            return False
        self.waiting = []
        return True

    def go_live(self, state: Iterable[PositionedEvent], sequence: int, epoch: str | None) -> int:
        """Send what the ledger said, which ends at this place, then what came meanwhile; how much it was."""
        waiting, self.waiting = self.waiting or [], None
        sent = self._catch_up(state, sequence, epoch)
        return sent + sum(self.offer(*event) for event in waiting)

    def let_go(self) -> None:
        """Send what came meanwhile; the ledger could not be read."""
        waiting, self.waiting = self.waiting or [], None
        for event in waiting:
            self.offer(*event)

    def _catch_up(self, missed: Iterable[PositionedEvent], sequence: int, epoch: str | None) -> int:
        """Behind again if the client stops reading it."""
        self.behind = False
        sent = sum(self.offer(*event) for event in missed)
        if not self.behind:
            self._move_to(sequence, epoch)
        return sent

    def _move_to(self, sequence: int, epoch: str | None) -> None:
        if epoch != self.epoch:
            self.left, self.epoch = self.epoch, epoch
        self.sequence = sequence


class Subscriptions:
    """All subscriptions of this process, by room and by client.

    ``on_unused`` is told about a topic when its last follower here has gone.
    """

    _make: ClassVar[type[Subscription]] = Subscription

    def __init__(self, on_unused: Callable[[Topic], None] = lambda _: None) -> None:
        self._on_unused = on_unused
        self._by_room: dict[str, dict[str, Subscription]] = {}
        self._by_sid: dict[str, dict[str, Subscription]] = {}

    def open(self, sid: str, topic: Topic, transport: Transport) -> Subscription:
        """A subscription that holds back; a second one of the same client replaces the first."""
        subscription = self._make(sid, topic, transport)
        self._by_room.setdefault(topic.room, {})[sid] = subscription
        self._by_sid.setdefault(sid, {})[topic.room] = subscription
        return subscription

    def find(self, sid: str, room: str) -> Subscription | None:
        """The subscription of this client to this room, if there is one."""
        return self._by_sid.get(sid, {}).get(room)

    def reopen(self, before: Subscription, after: Subscription) -> bool:
        """Put back the one that ``after`` replaced; False when the client has left meanwhile.

        What came meanwhile is sent.
        """
        if not self.is_open(after):
            return False
        self._by_room[before.topic.room][before.sid] = before
        self._by_sid[before.sid][before.topic.room] = before
        before.let_go()
        for event in after.waiting or ():
            before.offer(*event)
        return True

    def close(self, sid: str, room: str) -> None:
        """Forget one subscription, if there is one."""
        subscription = self._by_sid.get(sid, {}).get(room)
        if subscription is None:
            return
        _remove(self._by_room, room, sid)
        _remove(self._by_sid, sid, room)
        if room not in self._by_room:
            self._on_unused(subscription.topic)

    def close_all(self, sid: str) -> None:
        """Forget a client."""
        for room in list(self._by_sid.get(sid, ())):
            self.close(sid, room)

    def is_open(self, subscription: Subscription) -> bool:
        """Whether this very subscription still stands."""
        return self._by_sid.get(subscription.sid, {}).get(subscription.topic.room) is subscription

    def has_followers(self, room: str) -> bool:
        return room in self._by_room

    def rooms_of(self, sid: str) -> list[str]:
        """The rooms of the topics this client follows."""
        return list(self._by_sid.get(sid, ()))

    def of_room(self, room: str) -> tuple[Subscription, ...]:
        """Those who follow this room now; safe to iterate while others come and go."""
        followers = self._by_room.get(room)
        return tuple(followers.values()) if followers else ()

    def count_of(self, sid: str) -> int:
        return len(self._by_sid.get(sid, ()))

    def topics(self) -> list[Topic]:
        """Every topic that somebody follows here."""
        return [next(iter(found.values())).topic for found in self._by_room.values()]

    def __len__(self) -> int:
        return sum(len(found) for found in self._by_room.values())


def _remove(index: dict[str, dict[str, Subscription]], outer: str, inner: str) -> None:
    found = index.get(outer)
    if found and found.pop(inner, None) and not found:
        del index[outer]
