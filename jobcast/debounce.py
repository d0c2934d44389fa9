"""The rate cap: per key, the first item at once, then at most one per interval, and always the last.

Pure: it owns no thread and reads no clock but the one it is given, so the reporter's thread and the web
process use the same class and tests use a fake clock. Items under one key are *states*: a newer item
makes the waiting one unnecessary, which is why an urgent item replaces it instead of following it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Item = TypeVar("Item")


class Debouncer(Generic[Key, Item]):
    """Caps each key to one item per ``interval`` seconds; 0 lets everything through."""

    def __init__(self, interval: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._interval = interval
        self._clock = clock
        # In the order of their times, as every key waits equally long: looking stops at the first that is
        # not over.
        self._opens_at: dict[Key, float] = {}
        self._waiting: dict[Key, Item] = {}

    def offer(self, key: Key, item: Item, *, urgent: bool = False) -> Item | None:
        """Return the item when it may go out now; keep it until it is ``due`` otherwise."""
        now = self._clock()
        if urgent or self._interval <= 0 or now >= self._opens_at.get(key, now):
            return self._release(key, item, now)
        self._waiting[key] = item
        return None

    def due(self) -> list[Item]:
        """The waiting items whose interval is over, oldest key first."""
        now = self._clock()
        over = [key for key in self._take_over(now) if key in self._waiting]
        return [self._release(key, self._waiting[key], now) for key in over]

    def take(self, key: Key) -> Item | None:
        """Hand out what waits under the key without waiting for its interval."""
        if key not in self._waiting:
            return None
        return self._release(key, self._waiting[key], self._clock())

    def take_all(self) -> list[Item]:
        """Hand out all that waits; for a process that stops."""
        now = self._clock()
        return [self._release(key, self._waiting[key], now) for key in list(self._waiting)]

    def held(self, key: Key) -> Item | None:
        """What waits under the key; it goes on waiting."""
        return self._waiting.get(key)

    def next_due(self) -> float | None:
        """Seconds until something is due; None when nothing waits."""
        if not self._waiting:
            return None
        first = next(at for key, at in self._opens_at.items() if key in self._waiting)
        return max(0.0, first - self._clock())

    def waiting(self) -> list[Key]:
        """The keys under which something waits."""
        return list(self._waiting)

    def is_waiting(self, key: Key) -> bool:
        return key in self._waiting

    def forget(self, key: Key) -> None:
        """Drop the key and what waits under it; for a job that has ended."""
        self._opens_at.pop(key, None)
        self._waiting.pop(key, None)

    def drop(self, key: Key, item: Item) -> None:
        """Forget the key if it is still this item that waits under it."""
        if self._waiting.get(key) is item:
            self.forget(key)

    def __len__(self) -> int:
        """Keys remembered; bounded by the keys used within one interval."""
        return len(self._opens_at)

    def _release(self, key: Key, item: Item, now: float) -> Item:
        self._waiting.pop(key, None)
        self._opens_at.pop(key, None)
        self._opens_at[key] = now + self._interval
        return item

    def _take_over(self, now: float) -> list[Key]:
        """The keys whose interval is over, oldest first, which are no longer remembered."""
        over = []
        for key, at in self._opens_at.items():
            if at > now:
                break
            over.append(key)
        for key in over:
            del self._opens_at[key]
        return over
