"""One suite for every ledger: what is true of one backend is true of the other."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
import redis

from jobcast.embedded import EmbeddedValkey
from jobcast.errors import LedgerRefused, LedgerUnavailable
from jobcast.ledger import Ledger, MemoryLedger, RedisLedger
from jobcast.ledger.cluster import PREFIX
from jobcast.models import AnalyticsData, AnalyticsEvent, JobStatusUpdate, Notification
from jobcast.topics import Topic, brand_topic, job_topic, user_topic
from tests.cluster import ValkeyCluster
from tests.stack import wait_for

_numbers = itertools.count()


@pytest.fixture
def job_id() -> str:
    """An id that no other test used: they share one server."""
    return f"job{next(_numbers)}"


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyCluster]:
    with ValkeyCluster(tmp_path_factory.mktemp("nodes")) as running:
        yield running


@pytest.fixture(params=["memory", "redis", "cluster"])
def url(request: pytest.FixtureRequest) -> str | None:
    """Where the ledger is; None: in memory."""
    if request.param == "cluster":
        nodes: ValkeyCluster = request.getfixturevalue("nodes")
        return nodes.url
    server: EmbeddedValkey = request.getfixturevalue("valkey")
    return server.url if request.param == "redis" else None


@pytest.fixture
def ledger(url: str | None) -> Iterator[Ledger]:
    if url is None:
        yield MemoryLedger(history=10)
    else:
        redis_ledger = RedisLedger.from_url(url, history=10)
        yield redis_ledger
        redis_ledger.close()


@pytest.fixture
def published(url: str | None, ledger: Ledger) -> Iterator[Callable[[], list[dict]]]:
    """What went out on the channel so far, decoded."""
    if isinstance(ledger, MemoryLedger):
        sent: list[str] = []
        ledger._send = sent.append
        yield lambda: [json.loads(message) for message in sent]
        return
    with redis.Redis.from_url(url.removeprefix(PREFIX), decode_responses=True) as client:
        pubsub = client.pubsub(ignore_subscribe_messages=True)
        pubsub.subscribe("flask-socketio")
        pubsub.get_message(timeout=1)
        yield lambda: [json.loads(m["data"]) for m in iter(lambda: pubsub.get_message(timeout=0.2), None)]
        pubsub.close()


def update(job_id: str, status: str = "in_progress", **fields) -> JobStatusUpdate:
    return JobStatusUpdate(job_id=job_id, status=status, **fields)


def notification(notification_id: str) -> Notification:
    return Notification(id=notification_id, type="alert", title="t", message="m", severity="info")


def sync(sync_id: str, records: int) -> AnalyticsEvent:
    data = AnalyticsData(platform="local", progress=1, records_processed=records)
    return AnalyticsEvent(sync_id=sync_id, event_type="analytics:sync-progress", data=data)


def test_the_sequence_rises_by_one_and_the_epoch_stays(ledger, job_id):
    """Whatever the kind of topic."""
    appended = [ledger.append_job(update(job_id, completed=n)) for n in range(5)]
    assert [a.sequence for a in appended] == [1, 2, 3, 4, 5]
    assert len({a.epoch for a in appended}) == 1


def test_what_is_published_is_what_can_be_read(ledger, job_id, published):
    """Push and poll say the same, to the letter."""
    ledger.append_job(update(job_id, progress=12.345, completed=1, total=8, description='ä"\\\n'))
    (message,) = published()
    (event,) = ledger.read(job_topic(job_id)).events
    assert message["data"] == [event.decoded()]
    assert message["room"] == f"job:{job_id}"
    assert message["data"][0]["progress"] == 12.35


def test_an_unknown_topic_reads_as_empty(ledger, job_id):
    """No sequence, no epoch, no events; and no exception."""
    for topic in (job_topic(job_id), user_topic(job_id), brand_topic(job_id)):
        snapshot = ledger.read(topic, since=3, epoch="x")
        assert (snapshot.sequence, snapshot.epoch, list(snapshot.events)) == (0, None, [])
        assert not ledger.history(topic).events
        assert ledger.positions([topic]) == [(0, None)]


def test_progress_never_falls_within_one_attempt(ledger, job_id):
    """However many workers report one job, in whatever order."""
    for progress in (10, 50, 30, None):
        ledger.append_job(update(job_id, progress=progress))
    shown = [event.decoded()["progress"] for event in ledger.history(job_topic(job_id)).events]
    assert shown == [10, 50, 50, 50]


@pytest.mark.parametrize("end", ["published", "completed", "failed", "cancelled"])
def test_a_terminal_state_is_final_for_its_attempt(ledger, job_id, end):
    """A late report, or a second end, is refused and not published."""
    ledger.append_job(update(job_id, attempt=1))
    ledger.append_job(update(job_id, end, attempt=1))
    for late in ("in_progress", "completed", "failed"):
        assert ledger.append_job(update(job_id, late, attempt=1)).outcome == "terminal"
    assert ledger.job(job_id).status == end
    assert ledger.job(job_id).sequence == 2


def test_only_a_higher_attempt_reopens_a_job(ledger, job_id):
    """And starts its progress afresh."""
    ledger.append_job(update(job_id, progress=80, attempt=1))
    ledger.append_job(update(job_id, "failed", attempt=1))
    ledger.append_job(update(job_id, attempt=2))
    assert ledger.job(job_id).attempt == 2
    assert ledger.job(job_id).progress is None
    assert ledger.append_job(update(job_id, "completed", attempt=1)).outcome == "stale"


def test_beginning_counts_attempts(ledger, job_id):
    """Queued is attempt 1, its first start too; a redelivery or a retry is the next."""
    ledger.append_job(update(job_id, "pending"))
    assert ledger.append_job(update(job_id), begin=True).attempt == 1
    assert ledger.append_job(update(job_id), begin=True).attempt == 2
    assert ledger.append_job(update(job_id), begin=True, retries=5).attempt == 6
    ledger.append_job(update(job_id, "completed"))
    assert ledger.append_job(update(job_id), begin=True).attempt == 7


def test_a_retry_that_waits_begins_as_the_attempt_it_was_announced_as(ledger, job_id):
    """Pending under attempt 2, then in progress under attempt 2."""
    ledger.append_job(update(job_id), begin=True)
    ledger.append_job(update(job_id, "pending", attempt=2))
    assert ledger.append_job(update(job_id), begin=True, retries=1).attempt == 2


def test_a_job_cancelled_while_it_waited_does_not_begin(ledger, job_id):
    """Even when its message is delivered after all, and however often; and its worker is told to stop."""
    ledger.append_job(update(job_id, "pending"))
    ledger.request_cancel(job_id)
    ledger.append_job(update(job_id, "cancelled"))
    for _ in range(2):
        refused = ledger.append_job(update(job_id), begin=True)
        assert (refused.outcome, refused.cancel_requested) == ("terminal", True)


@pytest.mark.parametrize("before", ["pending", "in_progress"])
def test_an_id_that_once_ended_cancelled_may_be_used_again(ledger, job_id, before):
    """Revoked, expired or ended by its task: nobody asked for what comes next to be cancelled."""
    ledger.append_job(update(job_id, before))
    ledger.append_job(update(job_id, "cancelled"))
    begun = ledger.append_job(update(job_id), begin=True)
    assert (begun.outcome, begun.attempt, begun.cancel_requested) == ("stored", 2, False)


def test_a_request_to_cancel_is_over_when_the_job_has_stopped(ledger, job_id):
    """The next work under its id is not meant."""
    ledger.append_job(update(job_id), begin=True)
    ledger.request_cancel(job_id)
    ledger.append_job(update(job_id, "cancelled", attempt=1))
    assert ledger.touch([job_topic(job_id)], 5) == set()
    begun = ledger.append_job(update(job_id), begin=True)
    assert (begun.outcome, begun.cancel_requested) == ("stored", False)


def test_a_request_to_cancel_is_over_when_a_worker_threw_the_message_away(ledger, job_id):
    """It was cancelled while it waited, and its worker says that it will not run."""
    ledger.append_job(update(job_id, "pending"))
    ledger.request_cancel(job_id)
    for _ in range(2):
        ledger.append_job(update(job_id, "cancelled"))
    assert ledger.append_job(update(job_id), begin=True).stored


@pytest.mark.parametrize("status", ["failed", "cancelled", "completed", "pending"])
def test_what_is_only_said_of_a_running_job_is_not_said_of_any_other(ledger, job_id, status):
    """Whoever ends it, and whatever it was made from."""
    fields = {"stalled": True, "busy": True, "cancel_requested": True, "eta_seconds": 5.0}
    running = update(job_id).model_copy(update=fields)
    ledger.append_job(running, begin=True)
    assert ledger.job(job_id).busy
    ledger.append_job(running.model_copy(update={"status": status}))
    assert not fields.keys() & ledger.job(job_id).model_dump(exclude_none=True).keys()


def test_a_refused_report_asks_nobody_to_stop(ledger, job_id):
    """Its attempt was revoked; that is told by a signal."""
    ledger.append_job(update(job_id), begin=True)
    ledger.append_job(update(job_id, "cancelled", attempt=1))
    refused = ledger.append_job(update(job_id, attempt=1))
    assert (refused.outcome, refused.cancel_requested) == ("terminal", False)


def test_a_lost_job_says_so_to_the_worker_that_comes_back(ledger, job_id):
    """So that it can take the job up again under a new attempt."""
    ledger.append_job(update(job_id), begin=True)
    ledger.append_job(update(job_id, "failed", attempt=1), lost=True)
    assert ledger.append_job(update(job_id, attempt=1)).outcome == "lost"
    assert ledger.append_job(update(job_id), begin=True).attempt == 2
    ledger.append_job(update(job_id, "failed", attempt=2))
    assert ledger.append_job(update(job_id, attempt=2)).outcome == "terminal"


def test_an_expectation_that_is_not_met_changes_nothing(ledger, job_id):
    """Compare and set: approve once, create once, sweep once."""
    none = frozenset({"none"})
    assert ledger.append_job(update(job_id, "pending"), expected=none).stored
    assert ledger.append_job(update(job_id, "pending"), expected=none).outcome == "conflict"
    pending = frozenset({"pending"})
    assert ledger.append_job(update(job_id, "approved"), expected=pending).stored
    assert ledger.append_job(update(job_id, "approved"), expected=pending).outcome == "conflict"
    assert ledger.append_job(update(job_id), expected_sequence=1).outcome == "conflict"
    assert ledger.append_job(update(job_id), expected_sequence=2).stored


def test_only_progress_under_an_unchanged_status_may_be_merged(ledger, job_id, published):
    """The web process merges nothing that somebody has to see."""
    ledger.append_job(update(job_id, "pending"))
    ledger.append_job(update(job_id), begin=True)
    ledger.append_job(update(job_id, progress=1, attempt=1))
    ledger.append_job(update(job_id, stalled=True, attempt=1), mergeable=False)
    ledger.append_job(update(job_id, attempt=2))
    ledger.append_job(update(job_id, "completed", attempt=2))
    assert [message["merge"] for message in published()] == [False, False, True, False, False, False]


def test_what_was_missed_is_replayed_in_order(ledger, job_id):
    """All of it, or nothing: there is no partial recovery."""
    for n in range(15):
        ledger.append_job(update(job_id, completed=n))
    topic, epoch = job_topic(job_id), ledger.job(job_id).epoch
    missed = ledger.read(topic, since=12, epoch=epoch)
    assert missed.recovered
    assert [event.decoded()["sequence"] for event in missed.events] == [13, 14, 15]
    assert ledger.read(topic, since=15, epoch=epoch).recovered
    assert not ledger.read(topic, since=15, epoch=epoch).events
    assert len(ledger.read(topic, since=5, epoch=epoch).events) == 10


@pytest.mark.parametrize(("since", "epoch"), [(4, None), (99, None), (0, None), (14, "other"), (2**53, None)])
def test_what_cannot_be_replayed_is_answered_with_the_state(ledger, job_id, since, epoch):
    """Older than the history, from the future, or of another epoch."""
    for n in range(15):
        ledger.append_job(update(job_id, completed=n))
    snapshot = ledger.read(job_topic(job_id), since=since, epoch=epoch or ledger.job(job_id).epoch)
    assert not snapshot.recovered
    assert [event.decoded()["completed"] for event in snapshot.events] == [14]


def test_what_is_older_than_what_was_seen_goes_on_under_a_new_epoch(ledger, job_id):
    """State, history and inbox say so; nobody takes the next event for one that is known."""
    stored = [
        ledger.append_job(update(job_id, description=',"epoch":"'), meta={"ownerId": "ana"}),
        ledger.append_notification(job_id, notification("n")),
        ledger.append_analytics(job_id, sync("s", 1)),
    ]
    for topic, was in zip((job_topic(job_id), user_topic(job_id), brand_topic(job_id)), stored, strict=True):
        told = [event.payload for event in ledger.read(topic).events]
        epoch = ledger.advance_epoch(topic, was.epoch, was.sequence + 1)
        assert epoch not in (None, was.epoch)
        assert ledger.positions([topic]) == [(was.sequence, epoch)]
        now = [event.payload for event in ledger.read(topic, was.sequence, was.epoch).events]
        assert now == [payload.replace(was.epoch, epoch) for payload in told]
        assert [event.decoded()["epoch"] for event in ledger.history(topic).events] == [epoch]
    assert ledger.meta(job_topic(job_id)) == {"ownerId": "ana"}
    assert ledger.append_job(update(job_id, "completed")).epoch == ledger.job(job_id).epoch != stored[0].epoch


def test_an_epoch_goes_on_when_nothing_was_lost(ledger, job_id):
    """Of several that find a loss the first is heard; an unknown topic stays unknown."""
    assert ledger.advance_epoch(job_topic(job_id), "x", 5) is None
    was = ledger.append_job(update(job_id))
    assert ledger.advance_epoch(job_topic(job_id), was.epoch, was.sequence) == was.epoch
    assert ledger.advance_epoch(job_topic(job_id), "other", 5) == was.epoch
    advanced = {ledger.advance_epoch(job_topic(job_id), was.epoch, 5) for _ in range(3)}
    assert len(advanced) == 1
    assert was.epoch not in advanced


def test_a_notification_arrives_once_however_often_it_is_sent(ledger, job_id, published):
    """Deduplicated by id."""
    outcomes = [ledger.append_notification(job_id, notification("n1")).outcome for _ in range(3)]
    assert outcomes == ["stored", "duplicate", "duplicate"]
    assert len(published()) == 1
    assert ledger.unread(job_id) == 1


def test_reading_is_shared_and_published_once(ledger, job_id, published):
    """Other tabs hear which ids, and how many are left."""
    for n in range(3):
        ledger.append_notification(job_id, notification(f"n{n}"))
    assert ledger.mark_read(job_id, ["n1", "unknown"]) == 2
    assert ledger.mark_read(job_id, ["n1"]) == 2
    assert ledger.mark_read(job_id, None) == 0
    events = [(m["event"], m["data"][0].get("ids")) for m in published()[3:]]
    assert events == [("notification:read", ["n1"]), ("notification:read", ["n0", "n2"])]
    assert [e.decoded()["read"] for e in ledger.read(user_topic(job_id)).events] == [True] * 3


def test_clearing_empties_the_inbox_and_says_so_once(ledger, job_id, published):
    """And the same id may arrive again afterwards."""
    ledger.append_notification(job_id, notification("n1"))
    ledger.clear(job_id)
    ledger.clear(job_id)
    assert [m["event"] for m in published()] == ["notification:received", "notifications:cleared"]
    assert not ledger.read(user_topic(job_id)).events
    assert ledger.append_notification(job_id, notification("n1")).outcome == "stored"


def test_the_inbox_is_bounded_and_keeps_the_newest(ledger, job_id):
    """The unread count follows."""
    for n in range(25):
        ledger.append_notification(job_id, notification(f"n{n}"))
    ids = [event.decoded()["id"] for event in ledger.read(user_topic(job_id)).events]
    assert ids == [f"n{n}" for n in range(15, 25)]
    assert ledger.unread(job_id) == 10


def test_a_brand_shows_the_newest_event_of_each_sync(ledger, job_id):
    """Two platforms may sync at once."""
    for sync_id, records in (("a", 1), ("b", 1), ("a", 2), ("b", 2), ("a", 3)):
        ledger.append_analytics(job_id, sync(sync_id, records))
    events = [event.decoded() for event in ledger.read(brand_topic(job_id)).events]
    assert [(e["syncId"], e["data"]["recordsProcessed"]) for e in events] == [("b", 2), ("a", 3)]


def test_what_is_known_of_a_job_is_kept_beside_its_state(ledger, job_id):
    """Owner and brand, for the decision who may see it."""
    ledger.append_job(update(job_id, "draft"), meta={"ownerId": "ana", "brandId": "acme"})
    ledger.append_job(update(job_id, "pending"), meta={"approvedBy": "bo"})
    expected = {"ownerId": "ana", "brandId": "acme", "approvedBy": "bo"}
    assert ledger.meta(job_topic(job_id)) == expected
    assert ledger.belongs_to(job_topic(job_id)) == {"ownerId": "ana", "brandId": "acme"}
    assert ledger.belongs_to(job_topic(f"not-{job_id}")) == {}


def test_a_lease_that_is_not_renewed_runs_out(ledger, job_id):
    """And is found with how late it is; a released one is not."""
    topic = job_topic(job_id)
    ledger.touch([topic], -2.0)
    (lease,) = [found for found in ledger.overdue() if found.topic == topic]
    assert lease.late >= 2.0
    ledger.touch([topic], 60.0)
    assert topic not in [found.topic for found in ledger.overdue()]
    ledger.touch([topic], -2.0)
    ledger.release(topic)
    assert topic not in [found.topic for found in ledger.overdue()]


def test_a_job_that_has_begun_has_a_lease(ledger, job_id):
    """From the same step on; one that was refused has none."""
    topic = job_topic(job_id)
    assert ledger.append_job(update(job_id), begin=True, lease=60.0).stored
    assert topic not in late(ledger)
    assert ledger.append_job(update(job_id), begin=True, retries=1, lease=0.01).stored
    wait_for(lambda: topic in late(ledger), what="the lease to run out")
    ledger.append_job(update(job_id, "pending", attempt=3))
    ledger.request_cancel(job_id)
    ledger.append_job(update(job_id, "cancelled"))
    ledger.release(topic)
    assert not ledger.append_job(update(job_id), begin=True, lease=0.01).stored
    time.sleep(0.02)
    assert topic not in late(ledger)


def test_a_job_with_an_odd_id_is_kept_leased_cancelled_and_listed(ledger, job_id):
    """Under the name of its room; it comes back with its own."""
    odd, brand = f"import:{job_id}/ü {{x}}", f"auth0|{job_id}"
    topic = job_topic(odd)
    ledger.append_job(update(odd), begin=True, lease=0.01)
    wait_for(lambda: topic in late(ledger), what="the lease to run out")
    ledger.request_cancel(odd)
    assert ledger.touch([topic], 60.0) == {topic.room}
    assert ledger.job(odd).job_id == odd
    ledger.list_job(brand, odd)
    assert ledger.jobs_of(brand) == [odd]


def late(ledger: Ledger) -> list[Topic]:
    return [lease.topic for lease in ledger.overdue()]


def test_a_lease_carries_the_request_to_cancel(ledger, job_id):
    """For a task that reports nothing."""
    ledger.append_job(update(job_id), begin=True)
    assert ledger.touch([job_topic(job_id)], 5) == set()
    ledger.request_cancel(job_id)
    assert ledger.touch([job_topic(job_id)], 5) == {f"job:{job_id}"}
    assert ledger.append_job(update(job_id, attempt=1)).cancel_requested


def test_a_request_to_cancel_an_unknown_job_leaves_nothing_behind(ledger, job_id):
    """Somebody guessing ids does not fill the store."""
    ledger.request_cancel(job_id)
    assert ledger.meta(job_topic(job_id)) == {}
    assert not ledger.append_job(update(job_id), begin=True).cancel_requested


def test_a_brand_lists_its_jobs_newest_first(ledger, job_id):
    """For a dashboard that was just opened."""
    for n in range(3):
        ledger.list_job(job_id, f"{job_id}-{n}")
    assert ledger.jobs_of(job_id, 2) == [f"{job_id}-2", f"{job_id}-1"]


def test_a_large_payload_is_cut_and_marked(ledger, job_id, caplog):
    """16 KiB in all, 2 KiB of error; logged, and never an exception."""
    ledger.append_job(update(job_id, error="é" * 5_000, details={"blob": "x" * 20_000}))
    stored = ledger.job(job_id)
    assert stored.details == {"truncated": True}
    assert len(stored.error.encode()) <= 2_048
    assert job_id in caplog.text


def test_details_without_a_json_form_are_dropped(ledger, job_id):
    """A cycle is somebody's mistake, not the job's end."""
    loop: dict = {}
    loop["loop"] = loop
    assert ledger.append_job(update(job_id).model_copy(update={"details": loop})).stored
    assert ledger.job(job_id).details == {"truncated": True}


@pytest.mark.parametrize("prefix", ["", PREFIX])
def test_a_store_that_is_not_there_is_unavailable(prefix):
    """RequestRefused at once, and as our own error."""
    ledger = RedisLedger.from_url(prefix + "redis://127.0.0.1:1/0")
    with pytest.raises(LedgerUnavailable):
        ledger.append_job(update("j"))
    with pytest.raises(LedgerUnavailable):
        ledger.read(job_topic("j"))


def test_a_store_that_will_never_take_an_event_is_told_apart(valkey, job_id):
    """Somebody else's value under our key."""
    with redis.Redis.from_url(valkey.url) as client:
        client.set(f"jobcast:{{job:{job_id}}}:history", "not ours")
    with closing(RedisLedger.from_url(valkey.url)) as ledger, pytest.raises(LedgerRefused):
        ledger.append_job(update(job_id))


def test_what_somebody_else_wrote_hides_no_other_topic(valkey, job_id):
    """Neither its position nor its lease."""
    with (
        closing(RedisLedger.from_url(valkey.url)) as ledger,
        redis.Redis.from_url(valkey.url) as client,
    ):
        ledger.append_job(update(job_id))
        client.set(f"jobcast:{{job:{job_id}-other}}:state", "not ours")
        topics = [job_topic(f"{job_id}-other"), job_topic(job_id)]
        assert [sequence for sequence, _ in ledger.positions(topics)] == [0, 1]
        ledger.touch([job_topic(job_id)], 0.0)
        client.zadd("jobcast:leases", {"not ours": 1, "job:": 1})
        assert job_topic(job_id) in [lease.topic for lease in ledger.overdue()]
        client.delete("jobcast:leases")


def test_topics_go_away_when_nobody_uses_them(valkey, job_id):
    """Every key has a time to live; a job that has ended a shorter one."""
    with (
        closing(RedisLedger.from_url(valkey.url, retention=100)) as ledger,
        redis.Redis.from_url(valkey.url, decode_responses=True) as client,
    ):
        ledger.append_job(update(job_id))
        ledger.append_notification(job_id, notification("n"))
        ledger.append_analytics(job_id, sync("s", 1))
        ledger.list_job(job_id, "x")
        keys = client.keys(f"*{job_id}*")
        assert len(keys) >= 9
        assert all(client.ttl(key) > 86_400 for key in keys)
        ledger.append_job(update(job_id, "completed"))
        assert 0 < client.ttl(f"jobcast:{{job:{job_id}}}:state") <= 100


def test_a_full_store_does_not_tell_which_leases_ran_out():
    """It took no renewals; reads alone would go on, and make every worker look dead."""
    with EmbeddedValkey() as full, closing(RedisLedger.from_url(full.url)) as ledger:
        ledger.touch([job_topic("j")], 0.0)
        with redis.Redis.from_url(full.url) as client:
            client.config_set("maxmemory", 1)
            for refused in (ledger.overdue, lambda: ledger.touch([job_topic("j")], 1.0)):
                with pytest.raises(LedgerUnavailable):
                    refused()
            client.config_set("maxmemory", 0)
        assert [lease.topic for lease in ledger.overdue()] == [job_topic("j")]
