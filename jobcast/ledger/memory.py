"""The ledger in this process's memory: for tests and for a program that is all in one process.

It does what ``ledger.lua`` does, in the same order; one contract test suite runs against both.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field

from jobcast import envelope
from jobcast.ledger.port import (
    BRAND_JOBS,
    LIVE_TTL,
    OWNERS,
    Appended,
    Entry,
    Ledger,
    Outcome,
    Overdue,
    Snapshot,
    StoredEvent,
    after,
    new_epoch,
    newest_per_sync,
)
from jobcast.ledger.redis import with_read
from jobcast.models import TERMINAL_STATUSES
from jobcast.payload import number
from jobcast.position import Position
from jobcast.topics import (
    BRAND,
    NOTIFICATION_READ,
    NOTIFICATIONS_CLEARED,
    USER,
    Topic,
    job_topic,
    user_topic,
)

Publish = Callable[[str], None]


@dataclass(slots=True)
class _Record:
    """What is known of one topic."""

    epoch: str
    expires_at: float = 0.0
    sequence: int = 0
    history: list[StoredEvent] = field(default_factory=list)
    payload: str = ""
    status: str | None = None
    attempt: int | None = None
    progress: str | None = None
    started: int = 0
    lost: bool = False
    cancel: bool = False
    inbox: dict[str, str] = field(default_factory=dict)
    unread: set[str] = field(default_factory=set)
    meta: dict[str, str] = field(default_factory=dict)


class MemoryLedger(Ledger):
    """``publish`` gets each envelope as it would go out on the Redis channel."""

    def __init__(
        self,
        publish: Publish = lambda message: None,
        *,
        history: int = 100,
        retention: int = 86_400,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(history=history, retention=retention)
        self._send = publish
        self._clock = clock
        self._lock = threading.RLock()
        self._records: dict[Topic, _Record] = {}
        self._brands: dict[str, dict[str, None]] = {}
        self._leases: dict[Topic, float] = {}

    def append(self, entry: Entry) -> Appended:
        with self._lock:
            if entry.status:
                return self._append_job(entry)
            return self._append_event(entry)

    def read(self, topic: Topic, since: int | None = None, epoch: str | None = None) -> Snapshot:
        with self._lock:
            record = self._found(topic)
            if record is None or not record.sequence:
                return Snapshot()
            missed = after(record.history, record.sequence, since) if since is not None else None
            if missed is not None and epoch == record.epoch:
                return Snapshot(record.sequence, record.epoch, recovered=True, events=missed)
            return Snapshot(record.sequence, record.epoch, events=_state(topic, record))

    def positions(self, topics: Sequence[Topic]) -> list[Position]:
        with self._lock:
            records = [self._found(topic) for topic in topics]
            return [Position(r.sequence, r.epoch) if r and r.sequence else Position() for r in records]

    def advance_epoch(self, topic: Topic, epoch: str, seen: int) -> str | None:
        with self._lock:
            record = self._found(topic)
            if record is None or not record.sequence:
                return None
            if record.epoch == epoch and record.sequence < seen:
                _rename_epoch(record, new_epoch())
            return record.epoch

    def history(self, topic: Topic) -> Snapshot:
        with self._lock:
            record = self._found(topic)
            if record is None or not record.sequence:
                return Snapshot()
            events = tuple(record.history)
            return Snapshot(record.sequence, record.epoch, recovered=True, events=events)

    def meta(self, topic: Topic) -> dict[str, str]:
        with self._lock:
            record = self._found(topic)
            return dict(record.meta) if record else {}

    def belongs_to(self, topic: Topic) -> dict[str, str]:
        return {name: value for name, value in self.meta(topic).items() if name in OWNERS}

    def unread(self, user_id: str) -> int:
        with self._lock:
            record = self._found(user_topic(user_id))
            return len(record.unread) if record else 0

    def mark_read(self, user_id: str, ids: Iterable[str] | None) -> int:
        with self._lock:
            topic = user_topic(user_id)
            record = self._record(topic)
            wanted = sorted(record.unread) if ids is None else list(dict.fromkeys(ids))
            changed = [i for i in wanted if i in record.unread]
            record.unread.difference_update(changed)
            if changed:
                listed = ",".join(f'"{i}"' for i in changed)
                body = f',"ids":[{listed}],"unreadCount":{len(record.unread)}}}'
                self._publish(topic, record, NOTIFICATION_READ, "", body, merge=False)
            return len(record.unread)

    def clear(self, user_id: str) -> None:
        with self._lock:
            topic = user_topic(user_id)
            record = self._record(topic)
            if record.inbox:
                record.inbox.clear()
                record.unread.clear()
                self._publish(topic, record, NOTIFICATIONS_CLEARED, "", "}", merge=False)

    def request_cancel(self, job_id: str) -> None:
        with self._lock:
            record = self._found(job_topic(job_id))
            if record and record.sequence:
                record.cancel = True

    def list_job(self, brand_id: str, job_id: str) -> None:
        with self._lock:
            jobs = self._brands.setdefault(brand_id, {})
            jobs.pop(job_id, None)
            jobs[job_id] = None
            while len(jobs) > BRAND_JOBS:
                del jobs[next(iter(jobs))]

    def jobs_of(self, brand_id: str, limit: int = BRAND_JOBS) -> list[str]:
        with self._lock:
            return list(reversed(self._brands.get(brand_id, {})))[:limit]

    def touch(self, topics: Sequence[Topic], period: float) -> set[str]:
        with self._lock:
            deadline = self._clock() + period
            self._leases.update(dict.fromkeys(topics, deadline))
            return {t.room for t in topics if (record := self._found(t)) and record.cancel}

    def overdue(self, limit: int = 1_000) -> list[Overdue]:
        with self._lock:
            now = self._clock()
            late = [Overdue(t, now - at) for t, at in self._leases.items() if at <= now]
            return sorted(late, key=lambda lease: -lease.late)[:limit]

    def release(self, topic: Topic) -> None:
        with self._lock:
            self._leases.pop(topic, None)

    def ping(self) -> None:
        """Always there."""

    def prove(self, message: str) -> None:
        self._send(message)

    def close(self) -> None:
        """Nothing to give up."""

    def remember(self) -> Callable[[], None]:
        """A copy of everything; calling what is returned brings it back, as an old snapshot does."""
        with self._lock:
            copy = deepcopy((self._records, self._brands, self._leases))

        def come_back() -> None:
            with self._lock:
                self._records, self._brands, self._leases = deepcopy(copy)

        return come_back

    def lose_everything(self) -> None:
        """Forget it all, as a store that was restarted without its data."""
        with self._lock:
            self._records.clear()
            self._brands.clear()
            self._leases.clear()

    def _found(self, topic: Topic) -> _Record | None:
        record = self._records.get(topic)
        if record and record.expires_at and record.expires_at <= self._clock():
            del self._records[topic]
            return None
        return record

    def _record(self, topic: Topic) -> _Record:
        return self._found(topic) or self._records.setdefault(topic, _Record(new_epoch()))

    def _append_job(self, entry: Entry) -> Appended:
        record = self._record(entry.topic)
        attempt = _attempt_of(entry, record)
        refused = _refusal(entry, record, attempt)
        if refused:
            cancel = record.cancel
            if refused == "terminal" and entry.status == record.status == "cancelled":
                record.cancel = False
            return Appended(refused, record.sequence, record.epoch, record.attempt or 0, cancel)
        same = record.attempt == attempt
        progress = _highest(number(entry.progress), record.progress if same else None)
        merge = entry.mergeable and same and record.status == entry.status
        if not same:
            record.progress = None
            record.cancel = record.cancel and record.status not in TERMINAL_STATUSES
        fields = f',"attempt":{attempt}' + (f',"progress":{progress}' if progress else "")
        cancel = record.cancel
        if entry.status == "cancelled" and record.status == "in_progress":
            record.cancel = False
        self._publish(entry.topic, record, entry.event, fields, entry.body, merge=merge)
        record.payload = record.history[-1].payload
        record.status, record.attempt = entry.status, attempt
        record.progress = progress or record.progress
        if entry.status == "in_progress":
            record.started = max(record.started, attempt)
        record.lost = entry.lost
        record.meta.update(entry.meta)
        if entry.status in TERMINAL_STATUSES:
            record.expires_at = self._clock() + self._retention
        if entry.lease > 0:
            self._leases[entry.topic] = self._clock() + entry.lease
        return Appended("stored", record.sequence, record.epoch, attempt, cancel)

    def _append_event(self, entry: Entry) -> Appended:
        record = self._record(entry.topic)
        outcome: Outcome = "duplicate"
        if not entry.inbox_id or entry.inbox_id not in record.inbox:
            outcome = "stored"
            self._publish(entry.topic, record, entry.event, "", entry.body, merge=False)
            if entry.inbox_id:
                self._put_into_inbox(record, entry.inbox_id)
        return Appended(outcome, record.sequence, record.epoch, unread=len(record.unread))

    def _put_into_inbox(self, record: _Record, notification_id: str) -> None:
        record.inbox[notification_id] = record.history[-1].payload
        record.unread.add(notification_id)
        while len(record.inbox) > self._history:
            oldest = next(iter(record.inbox))
            del record.inbox[oldest]
            record.unread.discard(oldest)

    def _publish(
        self, topic: Topic, record: _Record, event: str, fields: str, body: str, *, merge: bool
    ) -> None:
        record.sequence += 1
        payload = f'{{"sequence":{record.sequence},"epoch":"{record.epoch}"{fields}{body}'
        record.history.append(StoredEvent(event, payload))
        del record.history[: -self._history]
        record.expires_at = self._clock() + LIVE_TTL
        self._send(envelope.seal(envelope.head(topic, event), merge, payload))


def _state(topic: Topic, record: _Record) -> list[StoredEvent]:
    if topic.kind is USER:
        return [
            StoredEvent(USER.event, with_read(payload, read=i not in record.unread))
            for i, payload in record.inbox.items()
        ]
    if topic.kind is BRAND:
        return newest_per_sync(record.history)
    return [StoredEvent(topic.event, record.payload)]


def _rename_epoch(record: _Record, epoch: str) -> None:
    def renamed(payload: str) -> str:
        return payload.replace(f',"epoch":"{record.epoch}"', f',"epoch":"{epoch}"', 1)

    record.history = [StoredEvent(stored.event, renamed(stored.payload)) for stored in record.history]
    record.inbox = {i: renamed(payload) for i, payload in record.inbox.items()}
    record.payload, record.epoch = renamed(record.payload), epoch


def _attempt_of(entry: Entry, record: _Record) -> int:
    stored = record.attempt or 1
    if entry.attempt != "begin":
        return entry.attempt or stored
    wanted = max(entry.retries + 1, stored, record.started + 1)
    ended = record.status in TERMINAL_STATUSES
    return stored + 1 if ended and wanted <= stored else wanted


def _refusal(entry: Entry, record: _Record, attempt: int) -> Outcome | None:
    if entry.expected_sequence is not None and entry.expected_sequence != record.sequence:
        return "conflict"
    if entry.expected is not None and (record.status or "none") not in entry.expected:
        return "conflict"
    # A job that somebody cancelled while it waited stays so, even if its message is delivered after all. One
    # that was revoked, expired or ended itself may begin again under its id: that is new work.
    was_cancelled = record.cancel and record.status == "cancelled" and entry.retries < (record.attempt or 0)
    if entry.attempt == "begin" and was_cancelled:
        return "terminal"
    if record.attempt is None or attempt > record.attempt:
        return None
    if attempt < record.attempt:
        return "stale"
    if record.status in TERMINAL_STATUSES:
        return "lost" if record.lost else "terminal"
    return None


def _highest(given: str, stored: str | None) -> str:
    if stored and (not given or float(given) < float(stored)):
        return stored
    return given
