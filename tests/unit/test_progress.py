"""What a task holds in its hand."""

from __future__ import annotations

import pytest

from jobcast.errors import JobCancelled
from jobcast.progress import Facts, Progress


def test_track_counts_an_item_when_its_body_has_finished():
    """While the body runs, its item is not done."""
    progress = Progress("j")
    seen = [progress.facts().completed for _ in progress.track("abc")]
    assert seen == [0, 1, 2]
    assert progress.facts().completed == 3


def test_track_takes_the_total_from_what_has_a_length():
    """A generator has none, so the total stays unknown and no percentage is made up."""
    progress = Progress("j")
    list(progress.track([1, 2, 3]))
    assert progress.facts().total == 3
    unknown = Progress("j")
    list(unknown.track(x for x in [1, 2, 3]))
    assert unknown.facts().total is None
    assert unknown.facts().progress("in_progress") is None


def test_an_empty_loop_has_a_total_of_zero_and_no_percentage():
    """0 of 0 is not 0 %."""
    progress = Progress("j")
    list(progress.track([]))
    assert progress.facts().total == 0
    assert progress.facts().progress("in_progress") is None


def test_several_loops_add_up():
    """The second loop makes the whole larger."""
    progress = Progress("j")
    list(progress.track([1, 2]))
    list(progress.track([1, 2, 3]))
    assert progress.facts()[:2] == (5, 5)


def test_a_total_that_was_given_is_not_changed_by_loops():
    """update(total=…) says how much there is in all."""
    progress = Progress("j")
    progress.update(total=10)
    list(progress.track([1, 2]))
    assert progress.facts()[:2] == (2, 10)


def test_only_success_shows_100():
    """A job that counted to its total and still runs is not done; a failed one keeps what it had."""
    facts = Facts(10, 10, None, None, None)
    assert facts.progress("in_progress") == 99.9
    assert facts.progress("failed") == 99.9
    assert facts.progress("completed") == 100
    assert Facts(4, 10, None, None, None).progress("failed") == 40


def test_the_first_report_wakes_the_reporter_and_later_ones_only_count():
    """One report of a busy job is an addition and a test."""
    woken = []
    progress = Progress("j", wake=lambda: woken.append(1))
    for _ in range(1_000):
        progress.advance()
    assert len(woken) == 1
    progress.rest()
    progress.advance()
    assert len(woken) == 2


def test_every_report_of_a_cancelled_job_raises():
    """A task that swallows the first one meets the next."""
    progress = Progress("j")
    progress.advance()
    progress.cancel()
    for report in (progress.advance, progress.update):
        with pytest.raises(JobCancelled):
            report()
    with pytest.raises(JobCancelled):
        list(progress.track([1]))


def test_details_are_copied_when_they_are_reported():
    """The task goes on changing its own dictionary."""
    progress, details = Progress("j"), {"n": 1}
    progress.update(details=details)
    details["n"] = 2
    assert progress.facts().details == {"n": 1}
