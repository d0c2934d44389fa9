"""The ledger: current state, sequence, epoch and a short history of every topic, behind one port.

Append and publish are one atomic step: whatever a client was pushed, a poll can read, and the other way
round. Offset and epoch work as in Centrifugo's history streams: the sequence rises by one with each
stored event, and the epoch changes when the store lost the topic, so that a client that was away knows
whether what it missed can be replayed.
"""

from __future__ import annotations

import json
import secrets
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from jobcast.models import AnalyticsEvent, JobStatusUpdate, Notification
from jobcast.payload import body_of
from jobcast.position import Position
from jobcast.topics import Topic, brand_topic, job_topic, user_topic

#: Seconds a topic lives after its last event while it has not ended.
LIVE_TTL: Final = 7 * 86_400
#: Jobs listed per brand for a dashboard that was just opened.
BRAND_JOBS: Final = 100
#: What of a job's meta says who may see it.
OWNERS: Final = ("ownerId", "brandId")

#: Fields of a job that the ledger writes itself, and those that are about a job that runs.
_OWN: Final = frozenset({"sequence", "epoch", "attempt", "progress"})
_RUNNING_ONLY: Final = frozenset({"stalled", "busy", "cancel_requested", "eta_seconds"})

Outcome = Literal["stored", "duplicate", "terminal", "lost", "stale", "conflict"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One event on its way into the ledger; ``body`` is the JSON after sequence, epoch and progress."""

    topic: Topic
    event: str
    body: str
    mergeable: bool = False
    status: str = ""
    attempt: int | Literal["begin"] | None = None
    retries: int = 0
    progress: float | None = None
    expected: frozenset[str] | None = None
    expected_sequence: int | None = None
    inbox_id: str = ""
    lost: bool = False
    lease: float = 0.0
    meta: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Appended:
    """What became of an entry: ``stored``, or why it was not.

    ``terminal``: the attempt has ended. ``lost``: it was ended because its worker went silent.
    ``stale``: a higher attempt runs. ``conflict``: an expectation was not met. ``duplicate``: known.
    """

    outcome: Outcome
    sequence: int
    epoch: str
    attempt: int = 0
    cancel_requested: bool = False
    unread: int = 0

    @property
    def stored(self) -> bool:
        return self.outcome == "stored"


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """One event as it was sent: its name and its JSON payload."""

    event: str
    payload: str

    def decoded(self) -> dict[str, Any]:
        decoded: dict[str, Any] = json.loads(self.payload)
        return decoded


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a client that has seen ``since`` needs: the missed events, or else the current state."""

    sequence: int = 0
    epoch: str | None = None
    recovered: bool = False
    events: Sequence[StoredEvent] = ()

    def is_older_than(self, seen: Position) -> bool:
        """Whether the store has forgotten a part of what was seen: it came back from an old copy."""
        return self.epoch is not None and self.epoch == seen.epoch and self.sequence < seen.sequence


@dataclass(frozen=True, slots=True)
class Overdue:
    """A lease that ran out, and by how many seconds."""

    topic: Topic
    late: float


class Ledger(ABC):
    """Public verbs over a handful of primitives; every method raises LedgerUnavailable at worst."""

    def __init__(self, *, history: int = 100, retention: int = 86_400) -> None:
        self._history = history
        self._retention = retention

    def append_job(
        self,
        update: JobStatusUpdate,
        *,
        begin: bool = False,
        retries: int = 0,
        mergeable: bool = True,
        expected: frozenset[str] | None = None,
        expected_sequence: int | None = None,
        lost: bool = False,
        lease: float = 0.0,
        meta: Mapping[str, str] | None = None,
    ) -> Appended:
        """Store and publish one state of a job; ``begin`` starts its next attempt.

        ``expected`` are the statuses the job may have now ("none" for an unknown job). ``lost`` says
        that this ends a job whose worker went silent, so that the worker may take it up again. With a
        ``lease``, in seconds, the worker has to be heard of again within that time; it is given in the
        same step, so that no job that has begun lacks one.
        """
        entry = Entry(
            topic=job_topic(update.job_id),
            event=job_topic(update.job_id).event,
            body=body_of(update, without=_OWN if update.status == "in_progress" else _OWN | _RUNNING_ONLY),
            mergeable=mergeable and not update.is_terminal,
            status=update.status,
            attempt="begin" if begin else update.attempt,
            retries=retries,
            progress=update.progress,
            expected=expected,
            expected_sequence=expected_sequence,
            lost=lost,
            lease=lease,
            meta=meta or {},
        )
        return self.append(entry)

    def append_notification(self, user_id: str, notification: Notification) -> Appended:
        """Put a notification into a user's inbox, once per id, and publish it."""
        topic = user_topic(user_id)
        body = body_of(notification, without={"sequence", "epoch", "read"})
        return self.append(Entry(topic, topic.event, body, inbox_id=notification.id))

    def append_analytics(self, brand_id: str, event: AnalyticsEvent) -> Appended:
        """Store and publish an event of a brand's analytics."""
        topic = brand_topic(brand_id)
        return self.append(Entry(topic, topic.event, body_of(event, without={"sequence", "epoch"})))

    def job(self, job_id: str) -> JobStatusUpdate | None:
        """The current state of a job, or None when it is unknown."""
        events = self.read(job_topic(job_id)).events
        return JobStatusUpdate.model_validate_json(events[-1].payload) if events else None

    @abstractmethod
    def append(self, entry: Entry) -> Appended:
        """Guard, number, store, trim and publish in one step."""

    @abstractmethod
    def read(self, topic: Topic, since: int | None = None, epoch: str | None = None) -> Snapshot:
        """The events after ``since`` when epoch and history allow it, or else the current state.

        The state is the last update of a job, the inbox of a user, and of a brand the newest event of
        each sync that the history still holds.
        """

    @abstractmethod
    def positions(self, topics: Sequence[Topic]) -> list[Position]:
        """The position of each topic."""

    @abstractmethod
    def advance_epoch(self, topic: Topic, epoch: str, seen: int) -> str | None:
        """Give a topic a new epoch if what is stored is older than what was ``seen`` of it under this one.

        A store that comes back from an old copy numbers anew from there, and everybody who knows better
        would take its events for old ones. Returns the epoch in force; None for a topic that is not known.
        """

    @abstractmethod
    def history(self, topic: Topic) -> Snapshot:
        """All events that are still kept, oldest first."""

    @abstractmethod
    def meta(self, topic: Topic) -> dict[str, str]:
        """What was given as meta when the job was created; empty for an unknown job."""

    @abstractmethod
    def belongs_to(self, topic: Topic) -> dict[str, str]:
        """The ``ownerId`` and ``brandId`` of a job, without its state; empty for an unknown job.

        Reading it takes the same time for a job that exists as for one that does not.
        """

    @abstractmethod
    def unread(self, user_id: str) -> int:
        """How many notifications of this user are unread."""

    @abstractmethod
    def mark_read(self, user_id: str, ids: Iterable[str] | None) -> int:
        """Mark these notifications read (None: all), publish it, and return how many stay unread."""

    @abstractmethod
    def clear(self, user_id: str) -> None:
        """Empty the inbox and publish it."""

    @abstractmethod
    def request_cancel(self, job_id: str) -> None:
        """Ask the worker of a known job to stop; its next report or lease carries that to it."""

    @abstractmethod
    def list_job(self, brand_id: str, job_id: str) -> None:
        """Remember that this job belongs to the brand, for ``jobs_of``."""

    @abstractmethod
    def jobs_of(self, brand_id: str, limit: int = BRAND_JOBS) -> list[str]:
        """Ids of the brand's jobs, newest first."""

    @abstractmethod
    def touch(self, topics: Sequence[Topic], period: float) -> set[str]:
        """Renew leases for ``period`` seconds; return the rooms whose cancellation was asked for."""

    @abstractmethod
    def overdue(self, limit: int = 1_000) -> list[Overdue]:
        """Leases that ran out, the longest first."""

    @abstractmethod
    def release(self, topic: Topic) -> None:
        """Give a lease up; for a job that has ended."""

    def again(self) -> Ledger:
        """The same ledger with connections of its own, for a thread that may share none; or itself."""
        return self

    @abstractmethod
    def ping(self) -> None:
        """Return when the store answers."""

    @abstractmethod
    def prove(self, message: str) -> None:
        """Return when the store has taken a write and published ``message`` on the channel for events."""

    @abstractmethod
    def close(self) -> None:
        """Give up the connections to the store; a later verb makes new ones."""


def new_epoch() -> str:
    """A name for the life of a topic in a store."""
    return secrets.token_hex(6)


def newest_per_sync(events: Iterable[StoredEvent]) -> list[StoredEvent]:
    """The last event of each ``syncId``, in their order."""
    newest: dict[str, StoredEvent] = {}
    for event in events:
        sync_id = event.decoded().get("syncId", "")
        newest.pop(sync_id, None)
        newest[sync_id] = event
    return list(newest.values())


def after(events: Sequence[StoredEvent], sequence: int, since: int) -> Sequence[StoredEvent] | None:
    """The events after ``since``, or None when some of them are not kept any more."""
    missed = sequence - since
    if missed < 0 or missed > len(events):
        return None
    return events[len(events) - missed :]
