"""One running job as the reporter sees it, and the wire form of what its task reported."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from jobcast.eta import EtaEstimator
from jobcast.ledger.port import Appended, Ledger
from jobcast.models import TERMINAL_STATUSES, JobStatus, JobStatusUpdate, now
from jobcast.position import Position
from jobcast.progress import Facts, Progress
from jobcast.topics import Topic, job_topic

logger = logging.getLogger(__name__)


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
        self.ended: tuple[JobStatus, str | None] | None = None
        self.over = False
        self._retries = retries
        self._meta = meta
        self._clock = clock
        self._lease = lease
        self._sent: Facts | None = None
        #: Of what the ledger took last.
        self.position = Position()
        self._pace = EtaEstimator()

    @property
    def changed(self) -> bool:
        return not self.over and (self.ended is not None or self.progress.facts() != self._sent)

    @property
    def has_ended(self) -> bool:
        """Whether nothing follows; a retry does."""
        return self.ended is not None and self.ended[0] in TERMINAL_STATUSES

    @property
    def urgent(self) -> bool:
        """Whether the status changes with the next delivery; that never waits."""
        return self.attempt is None or self.ended is not None

    def end(self, status: JobStatus, error: str | None) -> None:
        """Make ``status`` the next thing that is said; the first end counts."""
        if self.ended is None:
            self.ended = (status, error)

    def deliver(self, ledger: Ledger) -> Appended:
        """Append the newest state; begin the attempt first when that has not been done."""
        if self.attempt is None:
            appended = self._begin(ledger)
            if self.over or self.ended is None:
                return appended
        facts, ended = self.progress.facts(), self.ended
        appended = ledger.append_job(self._update(facts, ended), meta=self._meta)
        self._compare(ledger, appended)
        self._settle(appended, facts, was_end=ended is not None)
        return appended

    def _begin(self, ledger: Ledger) -> Appended:
        facts = self.progress.facts()
        update = self._update(facts, ("in_progress", None))
        options: dict[str, Any] = {"retries": self._retries, "lease": self._lease, "meta": self._meta}
        appended = ledger.append_job(update, begin=True, **options)
        self._compare(ledger, appended)
        self.attempt, self._sent = appended.attempt, facts
        self.over = not appended.stored
        return appended

    def _compare(self, ledger: Ledger, appended: Appended) -> None:
        """Let the topic go on under a new epoch when the store does not hold what it once said it did."""
        expected = self.position.sequence + appended.stored
        if appended.epoch == self.position.epoch and appended.sequence < expected:
            ledger.advance_epoch(self.topic, appended.epoch, expected)
        self.position = Position(appended.sequence, appended.epoch)

    def _settle(self, appended: Appended, facts: Facts, *, was_end: bool) -> None:
        if appended.outcome == "lost":  # only paused, and declared dead meanwhile: take it back
            self.attempt = None
        elif not appended.stored:
            logger.info("job %s: report refused, %s", self.progress.job_id, appended.outcome)
            self.over = True
        else:
            self._sent, self.over = facts, was_end

    def _update(self, facts: Facts, ended: tuple[JobStatus, str | None] | None) -> JobStatusUpdate:
        status, error = ended or ("in_progress", None)
        attempt = self.attempt
        if status == "pending" and attempt is not None:  # a retry: waiting, as the next attempt
            facts, attempt = Facts(0, None, "waiting to be retried", None, None), attempt + 1
        self._pace.observe(self._clock(), facts.completed)
        pace = self._pace if status == "in_progress" else None
        request_id = self._meta.get("requestId") if ended else None
        return job_update(self.progress.job_id, status, facts, error, attempt, pace, request_id)


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
    known: dict[str, Any] = {name: _text(value) for name, value in texts.items()}
    details = dict(facts.details) if facts.details is not None else None
    return JobStatusUpdate(job_id=job_id, status=status, timestamp=now(), details=details, **known, **numbers)


def _text(value: object) -> str | None:
    """Any value as text that UTF-8 can carry."""
    return None if value is None else str(value).encode(errors="replace").decode()
