"""One running job as the reporter sees it, and the wire form of what its task reported."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol

from jobcast import plain
from jobcast.eta import EtaEstimator
from jobcast.ledger.port import Appended, Ledger
from jobcast.models import TERMINAL_STATUSES, JobStatus, JobStatusUpdate, now
from jobcast.position import Position
from jobcast.progress import Facts, Progress
from jobcast.topics import Topic, job_topic

logger = logging.getLogger(__name__)


#: Seconds an end that is only expected waits for somebody who knows.
EXPECTED_AFTER: Final = 0.5


class End(NamedTuple):
    """How a job ends: a status, and for one that went wrong the words and the type of its exception.

    A ``pending`` job is run again: as its next attempt, or where it was ``replaced`` as whatever comes next.
    """

    status: JobStatus
    error: str | None = None
    error_type: str | None = None
    replaced: bool = False


class Delivery(Protocol):
    """Something the thread still has to put into the ledger."""

    @property
    def topic(self) -> Topic: ...

    def deliver(self, ledger: Ledger) -> Appended | None: ...


@dataclass(frozen=True, slots=True)
class Event:
    """A delivery that was complete when it was handed in."""

    topic: Topic
    append: Callable[[Ledger], Appended | None]

    def deliver(self, ledger: Ledger) -> Appended | None:
        return self.append(ledger)


class Job:
    """A running job as the thread sees it; its delivery is whatever is newest when it goes out."""

    def __init__(
        self,
        progress: Progress,
        retries: int,
        meta: Mapping[str, str],
        clock: Callable[[], float],
        lease: float,
    ) -> None:
        self.progress = progress
        self.topic = job_topic(progress.job_id)
        self.attempt: int | None = None
        self.ended: End | None = None
        self.over = False
        #: Whether somebody was asked to stop it, as the ledger last said.
        self.cancel_requested = False
        #: Only counts are sent: something else in its reports could not be.
        self.bare = False
        #: Seconds a task may ignore that it was cancelled, and what ends it then.
        self.grace: float | None = None
        self.terminate: Callable[[], None] = lambda: None
        self._expected: tuple[float, End] | None = None
        self._retries = retries
        self._meta = meta
        self._clock = clock
        self._lease = lease
        self._sent: Any = None
        #: Of what the ledger took last.
        self.position = Position()
        self._pace = EtaEstimator()

    @property
    def changed(self) -> bool:
        return not self.over and (self.ended is not None or self._state() != self._sent)

    @property
    def has_ended(self) -> bool:
        """Whether nothing follows; a retry does."""
        return self.ended is not None and self.ended.status in TERMINAL_STATUSES

    @property
    def urgent(self) -> bool:
        """Whether the status changes with the next delivery; that never waits."""
        return self.attempt is None or self.ended is not None

    def end(self, end: End) -> None:
        """Make this the next thing that is said; the first end counts."""
        if self.ended is None:
            self.ended = end

    def expect(self, end: End) -> None:
        """End like this, unless somebody knows better: at once if told so, and otherwise soon."""
        self._expected = self._clock() + EXPECTED_AFTER, end

    @property
    def expected_at(self) -> float | None:
        """When the end that is expected counts as known."""
        return self._expected[0] if self._expected and self.ended is None else None

    def settle(self) -> bool:
        """End as expected; False when no end is."""
        if self._expected is not None:
            self.end(self._expected[1])
        return self._expected is not None

    def correct(self, end: End) -> bool:
        """Tell a better-founded end after one that was only expected; False when it is the same.

        An attempt has one end, so it is told as the end of the next attempt.
        """
        if self.ended is None or self.ended.status == end.status or self.attempt is None:
            return False
        self.ended, self.over, self.attempt = end, False, self.attempt + 1
        return True

    def deliver(self, ledger: Ledger) -> Appended:
        """Append the newest state; begin the attempt first when that has not been done."""
        if self.attempt is None:
            appended = self._begin(ledger)
            if self.over or self.ended is None:
                return appended
        said, ended = self._state(), self.ended
        appended = ledger.append_job(self._update(said[0], ended), meta=self._meta)
        self._compare(ledger, appended)
        self._note(appended, said, was_end=ended is not None)
        return appended

    def _begin(self, ledger: Ledger) -> Appended:
        said = self._state()
        update = self._update(said[0], End("in_progress"))
        options: dict[str, Any] = {"retries": self._retries, "lease": self._lease, "meta": self._meta}
        appended = ledger.append_job(update, begin=True, **options)
        self._compare(ledger, appended)
        self.attempt, self._sent = appended.attempt, said
        self.over = not appended.stored
        self._show(said[0])
        return appended

    def _state(self) -> tuple[Facts, bool]:
        """What an update says: it is sent again when any of it has changed."""
        return self.progress.facts(), self.cancel_requested

    def _show(self, facts: Facts) -> None:
        """Let a total that grows know how far the bar was seen."""
        percent = facts.progress("in_progress")
        if percent is not None:
            self.progress.shown = max(self.progress.shown, percent / 100)

    def _compare(self, ledger: Ledger, appended: Appended) -> None:
        """Let the topic go on under a new epoch when the store does not hold what it once said it did."""
        expected = self.position.sequence + appended.stored
        if appended.epoch == self.position.epoch and appended.sequence < expected:
            ledger.advance_epoch(self.topic, appended.epoch, expected)
        self.position = Position(appended.sequence, appended.epoch)

    def _note(self, appended: Appended, said: tuple[Facts, bool], *, was_end: bool) -> None:
        if appended.outcome == "lost":  # only paused, and declared dead meanwhile: take it back
            self.attempt = None
        elif not appended.stored:
            logger.info("job %s: report refused, %s", self.progress.job_id, appended.outcome)
            self.over = True
        else:
            self._sent, self.over = said, was_end
            self._show(said[0])

    def _update(self, facts: Facts, ended: End | None) -> JobStatusUpdate:
        status, error, error_type, replaced = ended or End("in_progress")
        attempt = self.attempt
        if self.bare:
            facts = Facts(facts.completed, facts.total, None, None, None)
        if status == "pending" and attempt is not None and not replaced:  # a retry, as the next attempt
            facts, attempt = Facts(0, None, "waiting to be retried", None, None), attempt + 1
        self._pace.observe(self._clock(), facts.done)
        pace = self._pace if status == "in_progress" else None
        request_id = self._meta.get("requestId") if ended else None
        update = job_update(self.progress.job_id, status, facts, error, attempt, pace, request_id)
        asked = self.cancel_requested and status == "in_progress"
        more = {"error_type": error_type, "cancel_requested": True if asked else None}
        return update.model_copy(update=more)


def job_update(
    job_id: str,
    status: JobStatus,
    facts: Facts,
    error: str | None = None,
    attempt: int | None = None,
    pace: EtaEstimator | None = None,
    request_id: str | None = None,
) -> JobStatusUpdate:
    """The wire form of what a task reported; odd values are mended, never an exception."""
    eta = pace.eta(facts.total) if pace else None
    numbers = {
        "progress": facts.progress(status),
        "completed": facts.completed if facts.completed or facts.total is not None else None,
        "total": facts.total,
        "eta_seconds": round(eta, 1) if eta is not None else None,
        "attempt": attempt,
    }
    texts = {
        "description": facts.description,
        "current_platform": facts.platform,
        "error": error,
        "request_id": request_id,
    }
    known: dict[str, Any] = {
        name: None if value is None else plain.text(value) for name, value in texts.items()
    }
    more = {
        "details": dict(facts.details) if facts.details is not None else None,
        "log": list(facts.log) or None,
        "result": facts.result if status in TERMINAL_STATUSES else None,
    }
    return JobStatusUpdate(job_id=job_id, status=status, timestamp=now(), **known, **numbers, **more)
