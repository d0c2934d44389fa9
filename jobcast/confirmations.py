"""The ends that were told a moment ago, until it is known that the store has kept them.

A store that fails over to a replica that lagged behind forgets what it was told last, and a job that has
ended says nothing more. So its end is looked at once more after a while, or as soon after an outage as the
store is back; if it is gone, it is told again. The guard of the ledger refuses it when it is still there.
"""

from __future__ import annotations

import logging
from collections import deque
from typing import Final, Protocol

from jobcast.errors import LedgerRefused
from jobcast.ledger.port import Appended, Ledger
from jobcast.position import Position
from jobcast.topics import Topic

logger = logging.getLogger(__name__)

#: Seconds after which an end is looked at. Replicas lag by less, or something is wrong with them.
LOOK_AFTER: Final = 3.0
#: Ends that are remembered; the oldest goes first.
LIMIT: Final = 10_000


class Ended(Protocol):
    """A job whose end the store took at this position."""

    position: Position

    @property
    def topic(self) -> Topic: ...

    def deliver(self, ledger: Ledger) -> Appended: ...


class EndConfirmations:
    """Moments are seconds of the caller's clock."""

    def __init__(self) -> None:
        self._ends: deque[tuple[float, Ended]] = deque(maxlen=LIMIT)

    def add(self, job: Ended, now: float) -> None:
        self._ends.append((now + LOOK_AFTER, job))

    @property
    def next_due(self) -> float | None:
        """When the next one is to be looked at."""
        return self._ends[0][0] if self._ends else None

    def hurry(self) -> None:
        """The store was away: all are due."""
        self._ends = deque(((float("-inf"), job) for _, job in self._ends), LIMIT)

    def look(self, ledger: Ledger, now: float) -> int:
        """Tell those again that are due and gone; how many. On LedgerUnavailable they stay due."""
        due = [job for at, job in self._ends if at <= now]
        told = sum(_tell_again(job, ledger) for job in _gone(due, ledger))
        for _ in due:
            self._ends.popleft()
        return told


def _gone(due: list[Ended], ledger: Ledger) -> list[Ended]:
    positions = ledger.positions([job.topic for job in due])
    return [job for job, held in zip(due, positions, strict=True) if _is_gone(job, held)]


def _is_gone(job: Ended, held: Position) -> bool:
    """Under another epoch nothing can be said, so that is looked at by telling it."""
    return held.epoch != job.position.epoch or held.sequence < job.position.sequence


def _tell_again(job: Ended, ledger: Ledger) -> bool:
    try:
        appended = job.deliver(ledger)
    except LedgerRefused as error:  # somebody else has written to its key meanwhile
        logger.warning("%s: its end cannot be told again: %s", job.topic.room, error)
        return False
    ledger.release(job.topic)
    return appended.stored
