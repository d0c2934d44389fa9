"""The reporter's thread, stepped by hand with a clock of its own."""

from __future__ import annotations

import json
import os
import threading
import time
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest

from jobcast.broadcaster import Broadcaster
from jobcast.celery.signals import end_elsewhere
from jobcast.errors import JobCancelled, LedgerRefused, LedgerUnavailable
from jobcast.job import Event
from jobcast.ledger import Appended, Entry, MemoryLedger
from jobcast.models import AnalyticsData, AnalyticsEvent, JobStatusUpdate, Notification
from jobcast.reporter import BACKLOG_LIMIT, Reporter
from jobcast.topics import Topic, job_topic, user_topic
from tests.clock import FakeClock


class Store(MemoryLedger):
    """A memory ledger that can be taken away."""

    def __init__(self, clock: FakeClock) -> None:
        self.sent: list[dict] = []
        self.away = False
        self.refuse: set[str] = set()
        super().__init__(lambda m: self.sent.append(json.loads(m)["data"][0]), clock=clock)

    def append(self, entry: Entry) -> Appended:
        if self.away:
            raise LedgerUnavailable("away")
        if entry.topic.id in self.refuse:
            raise LedgerRefused("never")
        return super().append(entry)

    def positions(self, topics: Sequence[Topic]) -> list[tuple[int, str | None]]:
        if self.away:
            raise LedgerUnavailable("away")
        return super().positions(topics)


class Desk:
    """A reporter, its store and its clock."""

    def __init__(self, interval: float = 1.0, lease: float = 5.0) -> None:
        self.clock = FakeClock()
        self.store = Store(self.clock)
        self.reporter = Reporter(self.store, interval=interval, lease=lease, clock=self.clock, threaded=False)

    def pass_time(self, seconds: float, step: float = 0.05) -> None:
        for _ in range(round(seconds / step)):
            self.clock.advance(step)
            self.reporter.step()

    def said(self, job_id: str) -> list[tuple]:
        return [(u["status"], u.get("completed")) for u in self.store.sent if u.get("jobId") == job_id]


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_a_hundred_thousand_reports_in_three_seconds_are_five_updates(desk):
    """Start, one per second, and the end; the last one is the terminal state."""
    progress = desk.reporter.start_job("j")
    progress.update(total=90_000)
    desk.reporter.step()
    for _ in range(30):
        for _ in range(3_000):
            progress.advance()
        desk.pass_time(0.1)
    desk.reporter.end_job("j", "completed")
    desk.reporter.step()
    assert len(desk.said("j")) <= 5
    assert desk.said("j")[-1] == ("completed", 90_000)
    assert desk.store.sent[-1]["progress"] == 100


def test_the_last_report_goes_out_when_a_job_falls_silent(desk):
    """The trailing edge: a pause shows what was reached, not what was reached a second before."""
    progress = desk.reporter.start_job("j")
    desk.reporter.step()
    progress.advance(3)
    desk.pass_time(0.1)
    progress.advance(4)
    desk.pass_time(5)
    assert desk.said("j")[-1] == ("in_progress", 7)


def test_a_silent_job_sends_nothing_and_lets_the_thread_sleep(desk):
    """Nothing changed, nothing to say."""
    desk.reporter.start_job("j")
    desk.pass_time(10)
    assert desk.said("j") == [("in_progress", None)]


def test_one_busy_job_does_not_delay_another(desk):
    """The cap is per job."""
    busy = desk.reporter.start_job("busy")
    desk.reporter.step()
    for _ in range(1_000):
        busy.advance()
    desk.reporter.start_job("other")
    desk.reporter.step()
    assert desk.said("other") == [("in_progress", None)]


def test_a_job_that_ends_before_it_was_looked_at_says_both_start_and_end(desk):
    """A task of a millisecond is still seen to have started and ended."""
    progress = desk.reporter.start_job("j")
    progress.update(total=1, completed=1)
    desk.reporter.end_job("j", "completed")
    desk.reporter.step()
    assert desk.said("j") == [("in_progress", 1), ("completed", 1)]


def test_with_the_store_away_the_newest_state_is_kept_and_delivered_later(desk):
    """Nothing is raised in the task, nothing piles up, the end arrives."""
    desk.store.away = True
    progress = desk.reporter.start_job("j")
    progress.update(total=100)
    for _ in range(100):
        progress.advance()
        desk.pass_time(0.1)
    desk.reporter.end_job("j", "completed")
    desk.pass_time(3)
    assert desk.store.sent == []
    desk.store.away = False
    desk.pass_time(1.1)
    assert desk.said("j") == [("in_progress", 100), ("completed", 100)]


def test_a_store_that_is_away_is_asked_seldom(desk):
    """Back-off up to a second, so that an outage costs nothing."""
    desk.store.away = True
    desk.reporter.start_job("j")
    desk.pass_time(60)
    assert 60 <= desk.reporter.counters.failed <= 140


def test_the_circuit_breaker_opens_and_closes_and_says_so(desk, caplog):
    """Once each per outage, in the counters and in the log."""
    caplog.set_level("WARNING")
    desk.reporter.start_job("j")
    desk.pass_time(2)
    assert (desk.reporter.counters.breaker, desk.reporter.counters.opened) == ("closed", 0)
    desk.store.away = True
    desk.reporter.end_job("j", "completed")
    desk.pass_time(10)
    assert (desk.reporter.counters.breaker, desk.reporter.counters.opened) == ("open", 1)
    assert desk.reporter.counters.failed > 5
    desk.store.away = False
    desk.pass_time(2)
    assert (desk.reporter.counters.breaker, desk.reporter.counters.opened) == ("closed", 1)
    first, second = [record.getMessage() for record in caplog.records]
    assert first.startswith("circuit breaker open")
    assert second.startswith("circuit breaker closed")
    assert str(desk.reporter.counters).startswith("delivered 2, failed ")


def test_the_thread_sleeps_while_the_store_is_away():
    """A lease that cannot be renewed must not keep it awake: the task would pay for that."""
    store = Store(FakeClock())
    store.away = True

    class Counted(Reporter):
        steps = 0

        def step(self) -> None:
            self.steps += 1
            super().step()

    reporter = Counted(store, interval=0.05, lease=0.02)
    progress = reporter.start_job("j")
    deadline = time.monotonic() + 0.5
    while time.monotonic() < deadline:
        progress.advance()
        time.sleep(0.001)
    assert reporter.steps < 200
    reporter.close(0)


def test_events_keep_their_order_through_an_outage(desk):
    """Notifications and sync events are never merged away."""
    desk.store.away = True
    broadcaster = Broadcaster(desk.reporter)
    for n in range(20):
        broadcaster.notification("ana", _notification(f"n{n}"))
        desk.pass_time(0.1)
    desk.store.away = False
    desk.pass_time(2)
    assert [s["id"] for s in desk.store.sent] == [f"n{n}" for n in range(20)]


def test_the_backlog_is_bounded_and_loses_the_oldest(desk):
    """An outage of hours does not fill the worker's memory."""
    desk.store.away = True
    broadcaster = Broadcaster(desk.reporter)
    for n in range(BACKLOG_LIMIT + 100):
        broadcaster.notification("ana", _notification(f"n{n}"))
        if n % 1_000 == 0:
            desk.reporter.step()
    desk.reporter.step()
    desk.store.away = False
    desk.pass_time(2)
    assert desk.reporter.counters.dropped == 100
    assert desk.store.sent[0]["id"] == "n100"


def test_an_event_the_store_will_never_take_does_not_hold_up_the_rest(desk):
    """One poisoned topic costs its own events only."""
    desk.store.refuse = {"bad"}
    broadcaster = Broadcaster(desk.reporter)
    broadcaster.notification("bad", _notification("n1"))
    broadcaster.notification("good", _notification("n2"))
    desk.reporter.step()
    assert [s["id"] for s in desk.store.sent] == ["n2"]


def test_sync_progress_is_merged_and_goes_out_before_what_follows_it(desk):
    """Completed comes after the last progress, and no event is merged away."""
    broadcaster = Broadcaster(desk.reporter)
    broadcaster.analytics_event("acme", _sync("started", 0))
    for n in range(1, 51):
        broadcaster.analytics_event("acme", _sync("progress", n))
        desk.reporter.step()
    broadcaster.analytics_event("acme", _sync("completed", 50))
    desk.reporter.step()
    said = [(s["eventType"].rpartition("-")[2], s["data"]["recordsProcessed"]) for s in desk.store.sent]
    assert said == [("started", 0), ("progress", 1), ("progress", 50), ("completed", 50)]


def test_two_syncs_of_one_brand_do_not_merge_into_each_other(desk):
    """The cap is per sync."""
    broadcaster = Broadcaster(desk.reporter)
    broadcaster.analytics_event("acme", _sync("progress", 1, "s1"))
    broadcaster.analytics_event("acme", _sync("progress", 2, "s2"))
    desk.reporter.step()
    assert [s["syncId"] for s in desk.store.sent] == ["s1", "s2"]


def test_a_broadcast_change_of_status_does_not_wait(desk):
    """Merely more progress waits for the interval."""
    broadcaster = Broadcaster(desk.reporter)
    for status, progress in (("in_progress", 1), ("in_progress", 2), ("failed", 2)):
        broadcaster.job_update("j", {"status": status, "progress": progress})
        desk.reporter.step()
    assert [u["status"] for u in desk.store.sent] == ["in_progress", "failed"]


def test_a_refused_attempt_stops_reporting(desk):
    """A worker that was overtaken by a redelivery keeps quiet."""
    progress = desk.reporter.start_job("j")
    desk.reporter.step()
    other = Reporter(desk.store, clock=desk.clock, threaded=False)
    other.start_job("j")
    other.step()
    progress.advance(5)
    desk.pass_time(2)
    assert [u["attempt"] for u in desk.store.sent] == [1, 2]
    desk.reporter.end_job("j", "completed")
    desk.pass_time(1)
    assert desk.store.job("j").status == "in_progress"


def test_a_job_that_was_only_paused_is_taken_back_under_a_new_attempt(desk):
    """It was declared lost; then it reports again."""
    progress = desk.reporter.start_job("j")
    desk.reporter.step()
    known = desk.store.job("j")
    desk.store.append_job(known.model_copy(update={"status": "failed"}), lost=True)
    progress.advance()
    desk.pass_time(2)
    last = desk.store.job("j")
    assert (last.status, last.attempt, last.completed) == ("in_progress", 2, 1)


def test_a_store_that_came_back_empty_learns_the_state_with_the_next_report(desk):
    """Under a new epoch, which tells clients to forget what they knew."""
    progress = desk.reporter.start_job("j", meta={"ownerId": "ana"})
    desk.reporter.step()
    epoch = desk.store.job("j").epoch
    desk.store.lose_everything()
    progress.update(total=2, completed=1)
    desk.pass_time(2)
    restored = desk.store.job("j")
    assert restored.progress == 50
    assert restored.epoch != epoch
    assert desk.store.meta(job_topic("j")) == {"ownerId": "ana"}


def test_the_lease_is_renewed_while_a_silent_task_lives_and_given_up_at_its_end(desk):
    """A task that computes for an hour without a report is not dead."""
    desk.reporter.start_job("j")
    desk.pass_time(60)
    assert desk.store.overdue() == []
    desk.reporter.end_job("j", "completed")
    desk.pass_time(60)
    assert desk.store.overdue() == []


def test_a_dead_reporter_leaves_a_lease_that_runs_out(desk):
    """From its first second on."""
    desk.reporter.start_job("j")
    desk.reporter.step()
    desk.clock.advance(6)
    assert [lease.topic.id for lease in desk.store.overdue()] == ["j"]


def test_a_job_that_was_abandoned_right_after_it_began_has_a_lease(desk):
    """Its child was killed between the two; nothing would ever end it otherwise."""
    desk.reporter.start_job("j")
    desk.reporter._collect()
    desk.reporter.abandon_job("j")
    desk.reporter.step()
    desk.clock.advance(6)
    assert [lease.topic.id for lease in desk.store.overdue()] == ["j"]


def test_a_cancel_request_reaches_a_task_that_reports(desk):
    """The answer to a report carries it."""
    progress = desk.reporter.start_job("j")
    desk.reporter.step()
    desk.store.request_cancel("j")
    progress.advance()
    desk.pass_time(1.1)
    with pytest.raises(JobCancelled):
        progress.advance()


def test_a_cancel_request_reaches_a_silent_task_with_its_lease(desk):
    """So its next report, whenever that is, stops it."""
    progress = desk.reporter.start_job("j")
    desk.reporter.step()
    desk.store.request_cancel("j")
    desk.pass_time(3)
    with pytest.raises(JobCancelled):
        progress.advance()


def test_odd_values_are_dropped_and_never_fail_the_job(desk, caplog):
    """NaN, infinity, objects and lone surrogates are somebody's mistake, not the task's end."""
    progress = desk.reporter.start_job("j")
    progress.update(completed=float("nan"), total=float("inf"), details={"o": object(), "n": float("nan")})
    desk.pass_time(1.1)
    progress.update(description="\ud800")
    desk.pass_time(1.1)
    progress.update(completed=1, total=2, description="fine", details={})
    desk.pass_time(1.1)
    assert desk.store.job("j").progress == 50
    desk.reporter.end_job("j", "failed", "boom \ud800")
    desk.pass_time(1.1)
    assert desk.store.job("j").status == "failed"


class Poisoned(Store):
    """A ledger whose client cannot write what one job says."""

    def append_job(self, update: JobStatusUpdate, **options: Any) -> Appended:
        if update.job_id == "bad" and update.details:
            raise TypeError("cannot be written")
        return super().append_job(update, **options)


def test_a_report_that_cannot_be_sent_costs_no_other_job_its_own(caplog):
    """It is sent without what is odd, said once, and counted."""
    desk = Desk()
    desk.store = desk.reporter._ledger = Poisoned(desk.clock)
    for job_id in ("bad", "good"):
        desk.reporter.start_job(job_id)
    for n in range(1, 4):
        for job_id in ("bad", "good"):
            desk.reporter.progress(job_id).update(completed=n, total=4, details={"n": n})
        desk.pass_time(1.1)
    for job_id in ("bad", "good"):
        desk.reporter.end_job(job_id, "completed")
    desk.pass_time(1.1)
    assert desk.said("bad")[-1] == desk.said("good")[-1] == ("completed", 3)
    assert desk.store.job("good").details == {"n": 3}
    assert desk.reporter.counters.dropped == 1
    assert caplog.text.count("dropped an event of job:bad") == 1


def test_an_event_that_raises_anything_costs_only_itself(desk, caplog):
    """A delivery is somebody else's code."""
    desk.reporter.post(Event(user_topic("ana"), lambda ledger: 1 / 0))
    desk.reporter.start_job("j")
    desk.reporter.step()
    assert desk.said("j") == [("in_progress", None)]
    assert desk.reporter.counters.dropped == 1
    assert "ZeroDivisionError" in caplog.text


def test_a_job_that_cannot_be_looked_at_is_given_up(desk, caplog):
    """And every other one is seen."""
    desk.reporter.start_job("bad")
    desk.reporter._state.jobs["bad"]._state = None
    desk.reporter.start_job("good")
    desk.pass_time(2)
    assert desk.said("good") == [("in_progress", None)]
    assert caplog.text.count("job bad cannot be reported any more") == 1


def test_a_list_that_a_task_goes_on_filling_is_sent_each_time(desk):
    """It is another one each time it is reported."""
    lines: list[str] = []
    progress = desk.reporter.start_job("j")
    for n in range(5):
        lines.append(f"step {n}")
        progress.update(details={"log": lines})
        desk.pass_time(1.1)
    assert [len(update["details"]["log"]) for update in desk.store.sent] == [1, 2, 3, 4, 5]


def test_those_who_watch_see_that_a_job_was_asked_to_stop(desk):
    """Until it has."""
    desk.reporter.start_job("j").advance()
    desk.pass_time(1.1)
    desk.store.request_cancel("j")
    desk.pass_time(5)
    assert desk.store.job("j").cancel_requested
    desk.reporter.end_job("j", "cancelled")
    desk.pass_time(1.1)
    assert desk.store.job("j").cancel_requested is None


def test_an_end_that_is_expected_waits_a_moment_for_one_who_knows(desk):
    """The result may turn out to be one that cannot be stored."""
    desk.reporter.start_job("j")
    desk.reporter.expect_end("j", "completed")
    desk.pass_time(0.3)
    desk.reporter.end_job("j", "failed", "not serializable", "EncodeError")
    desk.pass_time(2)
    assert [status for status, _ in desk.said("j")] == ["in_progress", "failed"]
    assert desk.store.job("j").error_type == "EncodeError"


def test_an_end_that_is_expected_is_told_when_nobody_knows_better(desk):
    """The result backend may be away for hours."""
    desk.reporter.start_job("j")
    desk.reporter.expect_end("j", "completed")
    desk.pass_time(1)
    assert [status for status, _ in desk.said("j")] == ["in_progress", "completed"]


def test_a_better_founded_end_corrects_one_that_was_only_expected(desk):
    """As the next attempt's, since an attempt has one end; and the same one is not told twice."""
    for job_id in ("j", "same"):
        desk.reporter.start_job(job_id)
        desk.reporter.expect_end(job_id, "completed")
    desk.pass_time(1)
    assert desk.reporter.end_job("j", "failed", "boom")
    desk.reporter.end_job("same", "completed")
    desk.pass_time(1)
    last = desk.store.job("j")
    assert (last.status, last.attempt, last.error) == ("failed", 2, "boom")
    assert len(desk.said("same")) == 2


def test_what_a_job_has_made_comes_with_its_end_and_its_lines_before(desk):
    """progress.result and progress.log."""
    progress = desk.reporter.start_job("j")
    progress.log("reading")
    progress.result(url="/files/1", rows=5)
    desk.pass_time(2)
    assert (desk.store.job("j").log, desk.store.job("j").result) == (["reading"], None)
    desk.reporter.end_job("j", "completed")
    desk.pass_time(1)
    assert desk.store.job("j").result == {"url": "/files/1", "rows": 5}


def test_two_threads_of_one_process_report_two_jobs():
    """The real thread, started by the first report."""
    store = MemoryLedger()
    reporter = Reporter(store, interval=0.01)

    def work(job_id: str) -> None:
        for _ in reporter.start_job(job_id).track(range(1_000)):
            pass
        reporter.end_job(job_id, "completed")

    threads = [threading.Thread(target=work, args=(f"j{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert reporter.flush(5)
    assert [store.job(f"j{n}").completed for n in range(4)] == [1_000] * 4
    reporter.close()


def test_a_forked_child_reports_with_a_thread_of_its_own():
    """Prefork: what the parent was busy with stays the parent's."""
    reporter = Reporter(MemoryLedger(), interval=0.01)
    reporter.start_job("parents")
    assert reporter.flush(5)
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        reporter.start_job("childs").advance()
        reporter.end_job("childs", "completed")
        done = reporter.flush(5) and reporter.progress("parents") is None
        os.write(write_end, b"yes" if done else b"no")
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(read_end, 3) == b"yes"
    reporter.close()


def test_close_delivers_what_waits_for_its_interval():
    """A stopping process does not sit out the rate cap."""
    store = MemoryLedger()
    reporter = Reporter(store, interval=60)
    progress = reporter.start_job("j")
    assert reporter.flush(5)
    progress.advance(5)
    started = time.monotonic()
    reporter.close(5)
    assert store.job("j").completed == 5
    assert time.monotonic() - started < 5


def test_close_says_what_could_not_be_delivered(caplog):
    """With the job's id, so that somebody can repair it."""
    store = Store(FakeClock())
    store.away = True
    reporter = Reporter(store, interval=0.01)
    reporter.start_job("j")
    reporter.end_job("j", "completed")
    reporter.close(0.05)
    assert "not delivered before the process stopped: job:j" in caplog.text


def _notification(notification_id: str) -> Notification:
    return Notification(id=notification_id, type="alert", title="t", message="m", severity="info")


def _sync(event: str, records: int, sync_id: str = "s1") -> AnalyticsEvent:
    data = AnalyticsData(platform="instagram", progress=records, records_processed=records)
    return AnalyticsEvent(sync_id=sync_id, event_type=f"analytics:sync-{event}", data=data)


def test_the_inbox_of_a_user_is_a_topic_of_its_own(desk):
    """Deliveries carry the topic they are for."""
    Broadcaster(desk.reporter).notification("ana", _notification("n"))
    desk.reporter.step()
    assert desk.store.read(user_topic("ana")).sequence == 1


def test_the_request_that_began_a_job_is_named_where_its_status_changes(desk):
    """At the beginning and the end; progress, of which there is much, stays small."""
    progress = desk.reporter.start_job("j", meta={"requestId": "req-1", "ownerId": "ana"})
    desk.reporter.step()
    for _ in range(3):
        progress.advance()
        desk.pass_time(1.5)
    desk.reporter.end_job("j", "failed", "boom")
    desk.reporter.step()
    named = [(update["status"], update.get("requestId")) for update in desk.store.sent]
    assert named[0] == ("in_progress", "req-1")
    assert set(named[1:-1]) == {("in_progress", None)}
    assert named[-1] == ("failed", "req-1")


@pytest.mark.parametrize("odd", ["", "x" * 5_000, "a\nb"])
def test_an_odd_request_id_never_stops_a_report(desk, odd):
    """Somebody else's producer may have put anything there."""
    desk.reporter.start_job("j", meta={"requestId": odd})
    desk.reporter.step()
    desk.reporter.end_job("j", "completed")
    desk.reporter.step()
    assert desk.said("j")[-1][0] == "completed"


def test_an_end_that_another_process_tells_names_the_request_too(desk):
    """A worker that was killed cannot."""
    desk.reporter.start_job("j", meta={"requestId": "req-1"}).advance()
    desk.pass_time(3)
    end_elsewhere(desk.store, "j", "failed", "killed")
    assert (desk.store.sent[-1]["status"], desk.store.sent[-1]["requestId"]) == ("failed", "req-1")


def test_a_worker_says_so_when_the_store_came_back_older(desk):
    """Its next report goes on under a new epoch; whoever polls does not take it for an old one."""
    progress = desk.reporter.start_job("j")
    desk.reporter.step()
    come_back = desk.store.remember()
    for _ in range(3):
        progress.advance()
        desk.pass_time(1)
    seen = desk.store.job("j")
    come_back()
    desk.reporter.end_job("j", "completed")
    desk.pass_time(1)
    ended = desk.store.job("j")
    assert (seen.sequence, ended.sequence, ended.status) == (3, 2, "completed")
    assert ended.epoch != seen.epoch


def test_an_epoch_stays_while_the_store_keeps_what_it_was_told(desk):
    """Beginning, progress, a refusal and the end."""
    progress = desk.reporter.start_job("j")
    desk.pass_time(1)
    epoch = desk.store.job("j").epoch
    progress.advance()
    desk.pass_time(1)
    desk.reporter.end_job("j", "completed")
    desk.pass_time(1)
    desk.reporter.start_job("j")
    desk.pass_time(1)
    assert desk.store.job("j").epoch == epoch


@pytest.mark.parametrize("fate", ["older", "empty"])
def test_an_end_that_the_store_forgot_is_told_again(desk, fate):
    """It was the last thing the worker had to say; the sweeper would have to call the job lost."""
    desk.reporter.start_job("j")
    desk.reporter.step()
    come_back = desk.store.remember()
    desk.reporter.end_job("j", "completed")
    desk.pass_time(1)
    before = desk.store.job("j")
    desk.store.away = True
    desk.pass_time(5)
    come_back() if fate == "older" else desk.store.lose_everything()
    desk.store.away = False
    desk.pass_time(2)
    after = desk.store.job("j")
    assert (after.status, after.attempt) == ("completed", 1)
    assert after.epoch != before.epoch
    assert not desk.store.overdue()
    desk.clock.advance(60)
    assert not desk.store.overdue()


def test_ends_are_looked_at_as_soon_as_the_store_is_back(desk):
    """Another job of this process found that it was away."""
    for job_id in ("over", "running"):
        desk.reporter.start_job(job_id)
    desk.reporter.end_job("over", "completed")
    desk.reporter.step()
    desk.store.lose_everything()
    desk.store.away = True
    desk.reporter.progress("running").advance()
    desk.pass_time(1.2)
    desk.store.away = False
    desk.pass_time(1)
    assert desk.store.job("over").status == "completed"


def test_an_end_that_the_store_kept_is_told_once(desk):
    """It is only looked at, and once."""
    looked: list[int] = []
    positions = desk.store.positions
    desk.store.positions = lambda topics: looked.append(len(topics)) or positions(topics)
    for job_id in ("a", "b"):
        desk.reporter.start_job(job_id)
        desk.reporter.end_job(job_id, "completed")
    desk.pass_time(10)
    assert [update["status"] for update in desk.store.sent].count("completed") == 2
    assert looked == [2]


def test_a_process_next_to_a_busy_one_renews_its_lease_and_says_that_it_is_busy(desk):
    """Until the busy one does so itself; a job of nobody's runs out."""
    desk.store.append_job(JobStatusUpdate(job_id="gone", status="in_progress"), begin=True, lease=5)
    desk.reporter.start_job("blocked")
    desk.pass_time(1)
    parent = Reporter(desk.store, lease=5.0, clock=desk.clock, threaded=False)
    parent.renew_for(lambda: ["blocked"])
    for _ in range(30):
        desk.clock.advance(1)
        parent.step()
    assert [lease.topic.id for lease in desk.store.overdue()] == ["gone"]
    assert desk.store.job("blocked").busy
    for _ in range(20):
        desk.pass_time(1)
        parent.step()
    assert desk.store.job("blocked").busy is None
    assert len([update for update in desk.store.sent if update.get("busy")]) == 1


def test_a_broadcast_may_hold_what_a_task_may_report(desk):
    """Decimals, and a counter whose keys are numbers."""
    update = {"status": "in_progress", "progress": Decimal("12.5"), "details": Counter({200: 5})}
    Broadcaster(desk.reporter).job_update("j", update)
    desk.reporter.step()
    assert (desk.store.job("j").progress, desk.store.job("j").details) == (12.5, {"200": 5})
