"""How many connections of an address there are that are no Socket.IO WebSocket, or not yet.

Those that say nothing, those that say something very slowly, and the plain requests. What becomes a Socket.IO
connection is counted by the limits of those instead.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, Final

#: Names of those whose address is not counted, and of all connections together.
UNCOUNTED: Final = "*"
EVERYBODY: Final = "everybody"


class PendingLimitReached(Exception):
    """Raised when an address has too many already."""


class PendingLimit:
    """``name_of`` gives the name an address is counted by, empty for one that is not; ``limit`` is for each.

    ``total`` is for all connections of the process, ``others`` returns how many are counted elsewhere.
    ``on_full`` is told a name once, when the first is turned away, until it has room again.
    """

    def __init__(
        self,
        name_of: Callable[[str], str] = lambda address: "",
        limit: int = 0,
        on_full: Callable[[str], None] = lambda name: None,
        total: int = 0,
        others: Callable[[], int] = lambda: 0,
    ) -> None:
        self._name_of = name_of
        self._limit = limit
        self._on_full = on_full
        self._total = total
        self._others = others
        self._here: Counter[str] = Counter()
        self._full: set[str] = set()

    def __len__(self) -> int:
        return self._here.total()

    def enter(self, peer: tuple[Any, ...]) -> str:
        """Count a connection and return the name to ``leave`` with; raise PendingLimitReached."""
        name = (self._name_of(peer[0]) if peer else "") or UNCOUNTED
        if self._total and len(self) + self._others() >= self._total:
            self._turn_away(EVERYBODY)
        self._full.discard(EVERYBODY)
        if name != UNCOUNTED and self._here[name] >= self._limit:
            self._turn_away(name)
        self._here[name] += 1
        return name

    def leave(self, name: str) -> None:
        if not name:
            return
        self._full.discard(name)
        self._here[name] -= 1
        if not self._here[name]:
            del self._here[name]

    def _turn_away(self, name: str) -> None:
        if name not in self._full:
            self._full.add(name)
            self._on_full(name)
        raise PendingLimitReached
