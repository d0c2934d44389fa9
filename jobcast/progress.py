"""What a task holds in its hand: three heights of one thing, ``track``, ``advance`` and ``update``.

The vocabulary is rich's. A report writes a number to memory; the reporter's thread looks at the numbers
when the rate cap lets it. Nothing here takes a lock, reads a clock or does I/O.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple, TypeVar

from jobcast.errors import JobCancelled
from jobcast.models import SUCCESS_STATUSES, JobStatus

Item = TypeVar("Item")

#: Only success shows 100; a job that counted to its total and still runs shows this.
ALMOST_DONE = 99.9


class Facts(NamedTuple):
    """What a task has said so far; percentages and time left are derived from it."""

    completed: float
    total: float | None
    description: str | None
    platform: str | None
    details: Mapping[str, Any] | None

    def progress(self, status: JobStatus) -> float | None:
        """0 to 100, or None when the total is unknown."""
        if status in SUCCESS_STATUSES:
            return 100.0
        if not self.total or self.total <= 0:
            return None
        return min(max(100.0 * self.completed / self.total, 0.0), ALMOST_DONE)


class Progress:
    """One job's progress, as seen from the task that does it."""

    __slots__ = (
        "_attention", "_cancelled", "_completed", "_description", "_details", "_platform", "_total",
        "_total_is_given", "_wake", "job_id",
    )  # fmt: skip

    def __init__(self, job_id: str, wake: Callable[[], None] = lambda: None) -> None:
        self.job_id = job_id
        self._wake = wake
        self._completed: float = 0
        self._total: float | None = None
        self._total_is_given = False
        self._description: str | None = None
        self._platform: str | None = None
        self._details: Mapping[str, Any] | None = None
        self._cancelled = False
        # True when the next report has to do more than count: wake a sleeping reporter, or stop the
        # task. One flag for both keeps the report of a running job at one addition and one test.
        self._attention = True

    def advance(self, n: float = 1) -> None:
        """Count ``n`` more as done; raise JobCancelled when the job was asked to stop."""
        self._completed += n
        if self._attention:
            self._attend()

    def track(
        self,
        iterable: Iterable[Item],
        total: float | None = None,
        description: str | None = None,
    ) -> Iterator[Item]:
        """Yield the items, counting each when the loop comes back for the next one.

        ``total`` defaults to the iterable's length where it has one. Several loops in one task add up,
        unless ``update(total=…)`` has said how much there is in all.
        """
        self._expect(iterable, total)
        if description is not None:
            self._description = description
        if self._attention:
            self._attend()
        return self._counted(iterable)

    def update(
        self,
        *,
        completed: float | None = None,
        total: float | None = None,
        description: str | None = None,
        platform: str | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        """Set whatever is given; raise JobCancelled when the job was asked to stop."""
        if total is not None:
            self._total, self._total_is_given = total, True
        if completed is not None:
            self._completed = completed
        if description is not None:
            self._description = description
        if platform is not None:
            self._platform = platform
        if details is not None:
            self._details = dict(details)  # the task may go on changing its own
        if self._attention:
            self._attend()

    def facts(self) -> Facts:
        """What has been reported so far."""
        return Facts(
            _finite(self._completed) or 0,
            _finite(self._total),
            self._description,
            self._platform,
            self._details,
        )

    def cancel(self) -> None:
        """Make the task's next report raise JobCancelled; called by the reporter's thread."""
        self._cancelled = True
        self._attention = True

    def rest(self) -> None:
        """Have the next report wake the reporter, which is about to sleep."""
        self._attention = True

    def _counted(self, iterable: Iterable[Item]) -> Iterator[Item]:
        for item in iterable:
            yield item
            self._completed += 1
            if self._attention:
                self._attend()

    def _expect(self, iterable: Iterable[Any], total: float | None) -> None:
        if total is None:
            total = operator.length_hint(iterable, -1)
        if total >= 0 and not self._total_is_given:
            self._total = (self._total or 0) + total

    def _attend(self) -> None:
        if self._cancelled:
            raise JobCancelled(self.job_id)
        self._attention = False
        self._wake()


def _finite(value: float | None) -> float | None:
    """The number, or None for infinity, NaN and what is no number at all."""
    return value if isinstance(value, int | float) and math.isfinite(value) else None
