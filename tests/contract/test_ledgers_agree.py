"""Memory and Redis agree under any interleaving of writes; hypothesis looks for one where they do not."""

from __future__ import annotations

import itertools
import json
import time
from contextlib import closing

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobcast.ledger import Ledger, MemoryLedger, RedisLedger
from jobcast.models import JobStatusUpdate, Notification
from jobcast.topics import job_topic, user_topic

_numbers = itertools.count()

statuses = st.sampled_from(
    ["draft", "pending", "approved", "in_progress", "published", "completed", "failed", "cancelled"]
)
appends = st.tuples(
    st.just("append"),
    st.fixed_dictionaries(
        {
            "status": statuses,
            "attempt": st.none() | st.integers(1, 4),
            "progress": st.none() | st.floats(0, 100),
        }
    ),
    st.fixed_dictionaries(
        {
            "begin": st.booleans(),
            "retries": st.integers(0, 2),
            "lost": st.booleans(),
            "expected": st.none() | st.frozensets(statuses | st.just("none"), min_size=1),
            "expected_sequence": st.none() | st.integers(0, 6),
            "lease": st.sampled_from([0.0, 0.001, 60.0]),
        }
    ),
)
others = st.one_of(
    st.tuples(st.just("cancel")),
    st.tuples(st.just("overdue")),
    st.tuples(st.just("notify"), st.sampled_from("abcdef")),
    st.tuples(st.just("read"), st.none() | st.lists(st.sampled_from("abcdef"), max_size=3)),
    st.tuples(st.just("clear")),
    st.tuples(st.just("look"), st.integers(0, 8)),
    st.tuples(st.just("advance"), st.integers(0, 8)),
)


def perform(ledger: Ledger, name: str, step: tuple) -> object:
    """One step, and what can be seen of it, without the epoch, which is random."""
    match step:
        case ("append", fields, options):
            found = ledger.append_job(JobStatusUpdate(job_id=name, **fields), **options)
            return found.outcome, found.sequence, found.attempt, found.cancel_requested
        case ("overdue",):
            time.sleep(0.003)
            return job_topic(name) in [lease.topic for lease in ledger.overdue()]
        case ("cancel",):
            return ledger.request_cancel(name)
        case ("notify", notification_id):
            sent = Notification(id=notification_id, type="alert", title="t", message="m", severity="info")
            found = ledger.append_notification(name, sent)
            return found.outcome, found.sequence, found.unread
        case ("read", ids):
            return ledger.mark_read(name, ids)
        case ("clear",):
            return ledger.clear(name)
        case ("advance", seen):
            return [advance(ledger, topic, seen) for topic in (job_topic(name), user_topic(name))]
        case ("look", since):
            return [look(ledger, topic, since) for topic in (job_topic(name), user_topic(name))]
    raise AssertionError(step)


def advance(ledger: Ledger, topic, seen: int) -> object:
    ((_, epoch),) = ledger.positions([topic])
    found = ledger.advance_epoch(topic, epoch or "unknown", seen)
    return found is None, found == epoch, look(ledger, topic, 0)


def look(ledger: Ledger, topic, since: int) -> object:
    snapshot = ledger.read(topic, since, ledger.read(topic).epoch)
    events = [event.event + event.payload for event in snapshot.events]
    bare = json.loads(json.dumps([text.replace(snapshot.epoch or "-", "EPOCH") for text in events]))
    return snapshot.sequence, snapshot.recovered, [_without_timestamp(text) for text in bare]


def _without_timestamp(text: str) -> str:
    head, _, tail = text.partition('"timestamp":"')
    return head + tail[24:]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(appends | others, max_size=25))
def test_memory_and_redis_agree_under_any_interleaving(valkey, steps):
    """Same outcomes, same sequences, same payloads."""
    name = f"agree{next(_numbers)}"
    memory = MemoryLedger(history=5)
    with closing(RedisLedger.from_url(valkey.url, history=5)) as redis:
        for step in [*steps, ("look", 0), ("look", 3), ("overdue",)]:
            assert perform(memory, name, step) == perform(redis, name, step), step
        redis.release(job_topic(name))
