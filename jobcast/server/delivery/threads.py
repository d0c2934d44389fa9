"""Delivery where every client has a thread: the same, with locks.

On eventlet and gevent nothing is interrupted but where it waits, and the classes that these are made of rely
on that. Locks are taken in one order: of the delivery, of a subscription, of the book of subscriptions.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any

from jobcast.debounce import Debouncer, Item, Key
from jobcast.envelope import Cut
from jobcast.server.delivery.fanout import Fanout
from jobcast.server.delivery.subscriptions import (
    PositionedEvent,
    Subscription,
    Subscriptions,
    Transport,
)
from jobcast.server.protocol.events import Event
from jobcast.topics import Topic


class ThreadedSubscription(Subscription):
    """A place in a topic that one thread at a time moves."""

    __slots__ = ("_has_ended", "_lock")

    def __init__(self, sid: str, topic: Topic, transport: Transport) -> None:
        self._lock = threading.RLock()
        self._has_ended = False
        super().__init__(sid, topic, transport)

    def offer(self, sequence: int, epoch: str, event: Event) -> bool:
        with self._lock:
            return not self._has_ended and super().offer(sequence, epoch, event)

    def reached(self, epoch: str | None) -> int:
        with self._lock:
            return super().reached(epoch)

    def hold(self) -> bool:
        with self._lock:
            return super().hold()

    def go_live(self, state: Iterable[PositionedEvent], sequence: int, epoch: str | None) -> int:
        with self._lock:
            return super().go_live(state, sequence, epoch)

    def let_go(self) -> None:
        with self._lock:
            super().let_go()

    def end(self) -> None:
        """The client has left, or joined anew: nothing more is sent by way of this subscription."""
        with self._lock:
            self._has_ended = True


class ThreadedSubscriptions(Subscriptions):
    """The book of subscriptions; whoever joins a topic does not meet the one who leaves it last."""

    _make = ThreadedSubscription

    def __init__(self, on_unused: Callable[[Topic], None] = lambda _: None) -> None:
        super().__init__(on_unused)
        self._lock = threading.RLock()

    def open(self, sid: str, topic: Topic, transport: Transport) -> Subscription:
        with self._lock:
            replaced = self._find(sid, topic.room)
            opened = super().open(sid, topic, transport)
        _end(replaced)
        return opened

    def close(self, sid: str, room: str) -> None:
        with self._lock:
            closed = self._find(sid, room)
            super().close(sid, room)
        _end(closed)

    def _find(self, sid: str, room: str) -> Subscription | None:
        return self._by_sid.get(sid, {}).get(room)

    def rooms_of(self, sid: str) -> list[str]:
        with self._lock:
            return super().rooms_of(sid)

    def of_room(self, room: str) -> tuple[Subscription, ...]:
        with self._lock:
            return super().of_room(room)

    def topics(self) -> list[Topic]:
        with self._lock:
            return super().topics()

    def __len__(self) -> int:
        with self._lock:
            return super().__len__()


def _end(subscription: Subscription | None) -> None:
    """Without the lock of the book: whoever sends on this subscription may have to close it."""
    if isinstance(subscription, ThreadedSubscription):
        subscription.end()


class ThreadedDebouncer(Debouncer[Key, Item]):
    """A debouncer of several threads."""

    def __init__(self, interval: float, *arguments: Any) -> None:
        super().__init__(interval, *arguments)
        self._lock = threading.RLock()

    def offer(self, key: Key, item: Item, *, urgent: bool = False) -> Item | None:
        with self._lock:
            return super().offer(key, item, urgent=urgent)

    def due(self) -> list[Item]:
        with self._lock:
            return super().due()

    def next_due(self) -> float | None:
        with self._lock:
            return super().next_due()

    def drop(self, key: Key, item: Item) -> None:
        with self._lock:
            super().drop(key, item)

    def waiting(self) -> list[Key]:
        with self._lock:
            return super().waiting()


class ThreadedFanout(Fanout):
    """One delivery at a time, so that what is sent of a topic keeps its order."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._one_delivery = threading.RLock()

    def release_due(self) -> None:
        with self._one_delivery:
            super().release_due()

    def _deliver(self, cut: Cut) -> None:
        with self._one_delivery:
            super()._deliver(cut)
