"""What a task holds in its hand: three heights of one thing, ``track``, ``advance`` and ``update``.

The vocabulary is rich's. A report writes a number to memory; the reporter's thread looks at the numbers
when the rate cap lets it. Nothing here takes a lock, reads a clock or does I/O, and nothing here raises but
JobCancelled.
"""

from __future__ import annotations

import logging
import operator
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from threading import get_ident
from types import TracebackType
from typing import Any, Final, NamedTuple, TypeVar

from jobcast import plain
from jobcast.errors import JobCancelled
from jobcast.models import SUCCESS_STATUSES, JobStatus
from jobcast.shares import Frame, Share

logger = logging.getLogger(__name__)

Item = TypeVar("Item")

#: Only success shows 100; a job that counted to its total and still runs shows this.
ALMOST_DONE = 99.9
#: Lines of ``log`` that are kept, and characters of each.
LOG_LINES: Final = 20
LOG_LINE_LENGTH: Final = 200


class Facts(NamedTuple):
    """What a task has said so far; percentages and time left are derived from it.

    ``begun`` is what has been done of the item or stage in hand, in the units of ``completed``. ``fraction``
    is how much of the bar is full where that is not what has been done of ``total``.
    """

    completed: float
    total: float | None
    description: str | None
    platform: str | None
    details: Mapping[str, Any] | None
    begun: float = 0
    fraction: float | None = None
    log: tuple[str, ...] = ()
    result: Mapping[str, Any] | None = None

    def progress(self, status: JobStatus) -> float | None:
        """0 to 100, or None when the total is unknown."""
        if status in SUCCESS_STATUSES:
            return 100.0
        if not self.total or self.total <= 0:
            return None
        fraction = self.done / self.total if self.fraction is None else self.fraction
        return min(max(100.0 * fraction, 0.0), ALMOST_DONE)

    @property
    def done(self) -> float:
        """``completed``, and of what is in hand as much as has been done."""
        return self.completed + self.begun


class Progress:
    """One job's progress, as seen from the task that does it."""

    __slots__ = (
        "_attention", "_base", "_cancelled", "_completed", "_description", "_details", "_frames", "_log",
        "_platform", "_resting", "_result", "_shares", "_stopped", "_total", "_total_is_given", "_wake",
        "interruptible", "job_id", "shown",
    )  # fmt: skip

    def __init__(self, job_id: str, wake: Callable[[], None] = lambda: None) -> None:
        self.job_id = job_id
        #: Whether a report may raise JobCancelled now; not in hooks, which have nothing to stop.
        self.interruptible = True
        #: The fraction that was sent last; it never falls.
        self.shown = 0.0
        self._wake = wake
        self._completed: float = 0
        self._total: float | None = None
        self._total_is_given = False
        self._description: str | None = None
        self._platform: str | None = None
        self._details: Mapping[str, Any] | None = None
        self._log: deque[str] = deque(maxlen=LOG_LINES)
        self._result: Mapping[str, Any] | None = None
        self._shares: list[Share] = []
        self._frames: list[Frame] = []
        self._base: tuple[float, float] | None = None
        self._cancelled = False
        self._stopped: set[int] = set()
        self._resting = True
        # True when the next report has to do more than count: wake a sleeping reporter, or stop the
        # task. One flag for both keeps the report of a running job at one addition and one test.
        self._attention = True

    def advance(self, n: float = 1) -> None:
        """Count ``n`` more as done; raise JobCancelled when the job was asked to stop."""
        try:
            self._completed += n
        except Exception:  # noqa: BLE001  # a Decimal beside a float, None, somebody's own class
            self._completed = _sum(self._completed, n)
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
        unless ``update(total=…)`` has said how much there is in all. A loop inside a loop is a share of the
        item that the outer one is at, and a loop inside a stage a share of that stage.
        """
        return self._track(iterable, total, description, None)

    def stage(self, description: str | None = None, *, weight: float = 1) -> Stage:
        """A part of the job with units of its own, worth ``weight`` of the job's; use it with ``with``.

        Stages that are made before the first one begins are planned together: two of weight 3 and 1 make
        the first end at 75 %. Where ``update(total=…)`` says how much there is, they are shares of that.
        """
        return Stage(self, description, weight)

    def update(
        self,
        *,
        completed: float | None = None,
        total: float | None = None,
        description: str | None = None,
        platform: str | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        """Set whatever is given; raise JobCancelled when the job was asked to stop.

        ``details`` are copied, so the task may go on changing its own; what is no JSON is made so.
        """
        if completed is not None:
            self._completed = completed
            if self.shown and plain.number(completed) == 0:  # a helper with a bar of its own, say
                self._base = self.shown, 0
        if total is not None:
            self._total_is_given = True
            self._set_total(total)
        if description is not None:
            self._description = plain.text(description)
        if platform is not None:
            self._platform = plain.text(platform)
        if details is not None:
            self._details = plain.details(details)
        if self._attention:
            self._attend()

    def log(self, text: object) -> None:
        """Show a line; the last twenty are kept."""
        self._log.append(plain.text(text)[:LOG_LINE_LENGTH])
        if self._attention:
            self._attend()

    def result(self, url: str | None = None, **data: Any) -> None:
        """Say what the job has made; sent with its end."""
        given = data if url is None else {"url": url, **data}
        self._result = plain.details(given)
        if self._attention:
            self._attend()

    def facts(self) -> Facts:
        """What has been reported so far."""
        completed, total = plain.number(self._completed) or 0, plain.number(self._total)
        return Facts(
            completed,
            total,
            self._description,
            self._platform,
            self._details,
            begun := self._begun(completed) if self._shares else 0,
            self._fraction(completed + begun, total) if self._base else None,
            tuple(self._log) if self._log else (),
            self._result,
        )

    def cancel(self) -> None:
        """Make the task's next report raise JobCancelled; called by the reporter's thread."""
        self._cancelled = True
        self._attention = True

    @property
    def cancel_requested(self) -> bool:
        """Whether somebody asked for the job to stop; for a task that would rather look than be stopped."""
        return self._cancelled

    def rest(self) -> None:
        """Have the next report wake the reporter, which is about to sleep."""
        self._resting = True
        self._attention = True

    def _track(
        self, iterable: Iterable[Item], total: float | None, description: str | None, share: Share | None
    ) -> Iterator[Item]:
        """Count into the item or stage that this thread is at, or else into ``share`` (None: the job)."""
        frame = self._frame()
        if frame is not None:
            share = self._item_of(frame) if frame.is_loop else frame.share
        if total is None:
            total = _length(iterable)
        if total is not None:
            self._expect(share, total)
        if description is not None:
            self._description = plain.text(description)
        if self._attention:
            self._attend()
        return self._counted(iterable) if share is None else self._counted_into(share, iterable)

    # Two loops that are alike but for what they count in: one for both would cost every item a look-up.

    def _counted(self, iterable: Iterable[Item]) -> Iterator[Item]:
        frame = self._enter(None, is_loop=True)
        try:
            for item in iterable:
                yield item
                self._completed += 1
                if self._attention:
                    self._attend()
        finally:
            self._frames.remove(frame)

    def _counted_into(self, share: Share, iterable: Iterable[Item]) -> Iterator[Item]:
        frame = self._enter(share, is_loop=True)
        try:
            for item in iterable:
                yield item
                share.completed += 1
                if self._attention:
                    self._attend()
        finally:
            self._frames.remove(frame)

    def _enter(self, share: Share | None, *, is_loop: bool) -> Frame:
        frame = Frame(get_ident(), share, is_loop)
        self._frames.append(frame)
        return frame

    def _frame(self) -> Frame | None:
        """The loop or stage that the calling thread is in, the innermost."""
        if not self._frames:
            return None
        thread = get_ident()
        return next((frame for frame in reversed(self._frames) if frame.thread == thread), None)

    def _item_of(self, frame: Frame) -> Share:
        """The share of the item that a loop is at: what is counted in its body counts for that item."""
        at = self._completed if frame.share is None else frame.share.completed
        if frame.item is None or frame.item.at != at:
            frame.item = Share(weight=1, at=at)
            shares = self._shares if frame.share is None else frame.share.shares
            shares[:] = [share for share in shares if share.at is None or share.at == at]
            shares.append(frame.item)
        return frame.item

    def _expect(self, share: Share | None, more: float) -> None:
        """Make room for ``more`` units."""
        more = plain.number(more) or 0
        if share is not None:
            share.total += more
        elif not self._total_is_given:
            self._set_total((plain.number(self._total) or 0) + more)

    def _set_total(self, total: float) -> None:
        """Set the total; when it has grown, what is left shares the rest of the bar, which never falls."""
        self._total = total
        known = plain.number(total)
        if not known or known <= 0:
            self._base = None
            return
        completed = plain.number(self._completed) or 0
        done = completed + self._begun(completed)
        self._base = (self.shown, done) if self.shown > done / known else None

    def _begun(self, completed: float) -> float:
        return sum(share.done(completed) for share in tuple(self._shares))

    def _fraction(self, done: float, total: float | None) -> float | None:
        """What was seen, and of the rest the share that has been done since."""
        if not total or total <= 0 or self._base is None:
            return None
        reached, then = self._base
        if total <= then:
            return max(reached, done / total)
        return reached + (1 - reached) * max(0.0, done - then) / (total - then)

    def _attend(self) -> None:
        self._attention = False
        if self._cancelled:
            self._attention = True
            # Once in each thread: what cleans up after it may report, and must not be stopped by that.
            if self.interruptible and (thread := get_ident()) not in self._stopped:
                self._stopped.add(thread)
                raise JobCancelled(self.job_id)
        if self._resting:
            self._resting = False
            self._wake()


class Stage:
    """A part of a job: ``track``, ``advance`` and ``update`` as the job has them, in units of its own."""

    def __init__(self, progress: Progress, description: str | None, weight: float) -> None:
        self._progress = progress
        self._description = description
        self._weight = plain.number(weight) or 0
        frame = progress._frame()
        self._parent = None if frame is None else progress._item_of(frame) if frame.is_loop else frame.share
        self._share = Share(weight=self._weight)
        self._entered: Frame | None = None
        progress._expect(self._parent, self._weight)

    def __enter__(self) -> Stage:
        self._siblings.append(self._share)
        self._entered = self._progress._enter(self._share, is_loop=False)
        self._progress.update(description=self._description)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        """A stage that was left with an exception keeps what it had reached."""
        if self._entered is not None:
            self._progress._frames.remove(self._entered)
        if kind is None:
            self._siblings.remove(self._share)
            if self._parent is None:
                self._progress.advance(self._weight)
            else:
                self._parent.completed += self._weight

    @property
    def _siblings(self) -> list[Share]:
        return self._progress._shares if self._parent is None else self._parent.shares

    def advance(self, n: float = 1) -> None:
        """Count ``n`` more of this stage as done; raise JobCancelled when the job was asked to stop."""
        self._share.completed = _sum(self._share.completed, n)
        if self._progress._attention:
            self._progress._attend()

    def track(
        self,
        iterable: Iterable[Item],
        total: float | None = None,
        description: str | None = None,
    ) -> Iterator[Item]:
        """Yield the items, counting each in this stage; see ``Progress.track``."""
        return self._progress._track(iterable, total, description, self._share)

    def update(self, *, completed: float | None = None, total: float | None = None, **other: Any) -> None:
        """Set this stage's counts; everything else as ``Progress.update``."""
        if completed is not None:
            self._share.completed = plain.number(completed) or 0
        if total is not None:
            self._share.total = plain.number(total) or 0
        self._progress.update(**other)


_current: ContextVar[Progress | None] = ContextVar("jobcast_progress", default=None)


def current() -> Progress:
    """The progress of the job that runs here, wherever in its call stack; a detached one outside a job."""
    return _current.get() or Progress("")


@contextmanager
def running_as(progress: Progress) -> Iterator[None]:
    """Make this what ``current()`` finds in here."""
    token = _current.set(progress)
    try:
        yield
    finally:
        _current.reset(token)


def track(
    iterable: Iterable[Item], total: float | None = None, description: str | None = None
) -> Iterator[Item]:
    """``current().track(…)``: yield the items and count them, if this is part of a job."""
    return current().track(iterable, total, description)


def _length(iterable: Iterable[Any]) -> float | None:
    """How many items it has, if it can tell; a ``__len__`` that raises is no reason to."""
    try:
        found = operator.length_hint(iterable, -1)
    except Exception:  # noqa: BLE001  # somebody else's class; range(10**30) overflows
        return None
    return found if found >= 0 else None


def _sum(count: Any, more: Any) -> float:
    """Both as plain numbers; what is none counts nothing."""
    added = plain.number(more)
    if added is None:
        logger.warning("advance(%s): not a number, nothing is counted", type(more).__name__)
    return (plain.number(count) or 0) + (added or 0)
