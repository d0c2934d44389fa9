"""What a task holds in its hand."""

from __future__ import annotations

import contextlib
import pickle
import threading
from array import array
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import IntEnum, StrEnum
from fractions import Fraction
from typing import Any

import pytest

from jobcast.errors import JobCancelled
from jobcast.progress import Facts, Progress, current, track


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


@pytest.mark.parametrize("report", ["advance", "update", "log", "result"])
def test_the_first_report_of_a_cancelled_job_raises_and_what_cleans_up_may_report(report):
    """A second exception in a ``finally`` would skip the rest of the clean-up."""
    progress = Progress("j")
    progress.advance()
    progress.cancel()
    with pytest.raises(JobCancelled):
        getattr(progress, report)(*["line"] * (report == "log"))
    progress.update(description="cleaning up")
    list(progress.track([1]))
    assert progress.facts().description == "cleaning up"


def test_a_cancel_stops_each_thread_of_a_job_once():
    """The exception of a helper thread may be lost with it."""
    progress = Progress("j")
    progress.cancel()
    stopped = []

    def help_out() -> None:
        try:
            progress.advance()
        except JobCancelled:
            stopped.append(1)

    thread = threading.Thread(target=help_out)
    thread.start()
    thread.join()
    help_out()
    assert stopped == [1, 1]


def test_a_cancel_is_no_exception_that_a_loop_over_items_swallows():
    """``except Exception`` around an item is about the item."""
    assert not issubclass(JobCancelled, Exception)
    copied = pickle.loads(pickle.dumps(JobCancelled("j")))
    assert (copied.job_id, str(copied)) == ("j", str(JobCancelled("j")))


def test_a_cancelled_job_that_reports_on_does_not_keep_the_reporter_awake():
    """A task that ignores its cancel counts as cheaply as any other, nearly."""
    woken = []
    progress = Progress("j", wake=lambda: woken.append(1))
    progress.cancel()
    for _ in range(100):
        with contextlib.suppress(JobCancelled):
            progress.advance()
    assert len(woken) == 1


def test_details_are_copied_when_they_are_reported():
    """The task goes on changing its own dictionary."""
    progress, details = Progress("j"), {"n": 1}
    progress.update(details=details)
    details["n"] = 2
    assert progress.facts().details == {"n": 1}


def test_details_are_copied_deeply():
    """A list that the task goes on filling is another one each time, so every change is sent."""
    progress, lines = Progress("j"), ["a"]
    progress.update(details={"log": lines})
    before = progress.facts()
    lines.append("b")
    assert before.details == {"log": ["a"]}
    progress.update(details={"log": lines})
    assert progress.facts() != before


class Unspeakable:
    """As a client library's response may be."""

    def __str__(self) -> str:
        raise RuntimeError("not now")

    __len__ = __iter__ = __str__


class Scalar:
    """As numpy's scalars are: no int, no float, but a number."""

    def __init__(self, value: float) -> None:
        self.value = value

    def __float__(self) -> float:
        return float(self.value)

    def __radd__(self, other: float) -> Scalar:
        return Scalar(other + self.value)

    __add__ = __radd__

    def tolist(self) -> float:
        return self.value


@pytest.mark.parametrize(
    ("one", "ten"),
    [
        (1, 10),
        (1.0, 10.0),
        (Decimal(1), Decimal(10)),
        (Fraction(1), Fraction(10)),
        (Scalar(1), Scalar(10)),
        (Decimal(1), 10.0),
    ],
)
def test_every_kind_of_number_counts(one, ten):
    """Counts come out of databases and arrays."""
    progress = Progress("j")
    progress.update(total=ten, completed=0.0)
    for _ in range(5):
        progress.advance(one)
    assert progress.facts().progress("failed") == 50


@pytest.mark.parametrize("odd", [None, "5", [1], Unspeakable(), complex(1, 1), 10**400, float("nan")])
def test_what_is_no_number_counts_nothing_and_raises_nothing(odd):
    """A display stops nothing."""
    progress = Progress("j")
    progress.advance(odd)
    progress.update(total=odd)
    list(Progress("k").track([1], total=odd))
    assert (progress.facts().completed, progress.facts().total) == (0, None)


@pytest.mark.parametrize("items", [range(10**30), Unspeakable()])
def test_a_length_that_cannot_be_had_is_unknown(items):
    """len() of a streaming data set raises NotImplementedError."""
    progress = Progress("j")
    progress.track(items)
    assert progress.facts().total is None


class Colour(StrEnum):
    RED = "red"


class Level(IntEnum):
    HIGH = 3


@dataclass
class Row:
    name: str
    price: Decimal


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (Counter({200: 5, None: 1}), {"200": 5, "None": 1}),
        ({("a", 1): {2}}, {"('a', 1)": [2]}),
        ({"when": datetime(2026, 1, 2, tzinfo=UTC)}, {"when": "2026-01-02T00:00:00+00:00"}),
        (
            {"raw": b"\xffab", "row": Row("x", Decimal("1.5"))},
            {"raw": "�ab", "row": {"name": "x", "price": 1.5}},
        ),
        ({"c": Colour.RED, "l": Level.HIGH, "a": array("i", [1, 2])}, {"c": "red", "l": 3, "a": [1, 2]}),
        ({"n": float("inf"), "s": Scalar(2.5), "t": "\ud800"}, {"n": None, "s": 2.5, "t": "?"}),
        ({"o": Unspeakable()}, {"o": "<Unspeakable>"}),
        ([1, 2], {"value": [1, 2]}),
        ("text", {"value": "text"}),
        ({"large": "x" * 20_000}, {"truncated": True}),
        ({"wide": list(range(100_000))}, {"truncated": True}),
    ],
)
def test_details_of_any_kind_are_made_plain(given, shown):
    """Whatever a task has in its hand."""
    progress = Progress("j")
    progress.update(details=given)
    assert progress.facts().details == shown


def test_details_without_an_end_are_cut():
    """A list that contains itself; and a generator is left to the task."""
    endless: list[Any] = []
    endless.append(endless)
    numbers = iter([1, 2])
    progress = Progress("j")
    progress.update(details={"endless": endless, "numbers": numbers}, description=Unspeakable())
    assert "endless" in (progress.facts().details or {})
    assert list(numbers) == [1, 2]
    assert progress.facts().description == "<Unspeakable>"


def test_a_loop_in_a_loop_is_a_share_of_its_item():
    """Five files of forty lines: after the first a fifth is done."""
    progress, shown = Progress("j"), []
    for _ in progress.track(range(5)):
        for _ in progress.track(range(40)):
            shown.append(progress.facts().progress("in_progress"))
    assert shown[40] == pytest.approx(20)
    assert shown[100] == pytest.approx(50)
    assert shown == sorted(shown)
    assert progress.facts()[:2] == (5, 5)


def test_what_was_counted_in_an_item_is_not_counted_again_when_the_item_is_done():
    """The next item may have no loop of its own; and what is done is not kept."""
    progress = Progress("j")
    for n in progress.track(range(100)):
        if n != 50:
            list(progress.track(range(3)))
        else:
            assert progress.facts().progress("failed") == 50
    assert len(progress._shares) == 1


def test_three_loops_deep_and_two_in_one_item():
    """What an item consists of may be several loops."""
    progress = Progress("j")
    for n in progress.track(range(2)):
        for _ in progress.track(range(4)):
            for k in progress.track(range(5)):
                if (n, k) == (1, 0):
                    break
            if n:
                break
    assert progress.facts().progress("failed") == 99.9
    for _ in progress.track(range(2)):
        for _ in progress.track(range(4)):
            pass
        for _ in progress.track(range(4)):
            assert 50 < (progress.facts().progress("failed") or 0) < 100
        break
    assert progress.facts()[:2] == (2, 4)


def test_loops_of_two_threads_add_up():
    """Only a thread's own loops are inside one another."""
    progress = Progress("j")

    def help_out() -> None:
        list(progress.track(range(10)))

    for _ in progress.track(range(2)):
        thread = threading.Thread(target=help_out)
        thread.start()
        thread.join()
    assert progress.facts()[:2] == (22, 22)


def test_stages_are_worth_their_weights():
    """Three quarters are uploading."""
    progress = Progress("j")
    upload, index = progress.stage("Upload", weight=3), progress.stage("Index")
    with upload as part:
        for n in part.track(range(10)):
            if n == 5:
                assert progress.facts().progress("in_progress") == pytest.approx(37.5)
    assert progress.facts().progress("in_progress") == pytest.approx(75)
    assert progress.facts().description == "Upload"
    with index as part:
        part.update(total=4, completed=1)
        part.advance()
        assert progress.facts().description == "Index"
        assert progress.facts().progress("in_progress") == pytest.approx(87.5)
    assert progress.facts().progress("in_progress") == 99.9


def test_stages_may_be_shares_of_a_total_that_was_given():
    """One after the other, in a job that knows how much there is."""
    progress = Progress("j")
    progress.update(total=4)
    with progress.stage("Upload", weight=3):
        list(progress.track(range(7)))
    assert progress.facts().progress("in_progress") == 75


def test_a_stage_in_a_stage_and_loops_in_both():
    """Each is a share of what it is in."""
    progress = Progress("j")
    progress.update(total=2)
    with progress.stage("outer") as outer:
        with progress.stage("inner", weight=1):
            for n in progress.track(range(2)):
                if n == 1:
                    assert progress.facts().progress("failed") == pytest.approx(25)
        list(outer.track(range(1)))
    assert progress.facts().progress("failed") == 50


def test_a_stage_that_fails_keeps_what_it_had_reached():
    """The failed job shows it."""
    progress = Progress("j")
    progress.update(total=2)
    with contextlib.suppress(ValueError), progress.stage("first") as part:
        part.update(total=4)
        part.advance(1)
        raise ValueError
    assert progress.facts().progress("failed") == pytest.approx(12.5)


def test_a_total_that_grows_goes_on_from_what_was_seen():
    """The bar never falls, so what is left shares the rest of it: it moves with every item."""
    progress, shown = Progress("j"), []
    list(progress.track(range(10)))
    progress.shown = 0.8
    for _ in progress.track(range(40)):
        shown.append(progress.facts().progress("in_progress"))
    assert shown[:3] == pytest.approx([80, 80.5, 81])
    assert shown[-1] == pytest.approx(99.5)


def test_a_total_that_grew_before_anything_was_seen_is_a_plain_share():
    """Nobody can tell that it did."""
    progress = Progress("j")
    list(progress.track(range(10)))
    next(progress.track(range(40)))
    assert progress.facts().progress("in_progress") == 20


def test_a_count_that_begins_anew_goes_on_from_what_was_seen():
    """A helper with a bar of its own, called twice."""
    progress = Progress("j")
    progress.update(completed=90, total=100)
    progress.shown = 0.9
    progress.update(completed=0, total=100)
    assert progress.facts().progress("in_progress") == 90
    progress.update(completed=50)
    assert progress.facts().progress("in_progress") == 95


def test_a_total_that_grows_leaves_the_time_that_is_left_to_the_counts():
    """What has been done, in the units of the total."""
    progress = Progress("j")
    list(progress.track(range(10)))
    progress.shown = 0.8
    for n in progress.track(range(40)):
        list(progress.track(range(2)))
        if n == 1:
            break
    assert (progress.facts().completed, progress.facts().done, progress.facts().total) == (11, 12, 50)


def test_the_log_keeps_the_last_lines():
    """And each is short."""
    progress = Progress("j")
    for n in range(30):
        progress.log(f"{n} " + "x" * 1_000)
    progress.log(Unspeakable())
    assert len(progress.facts().log) == 20
    assert progress.facts().log[-1] == "<Unspeakable>"
    assert len(progress.facts().log[0]) == 200


def test_outside_a_job_the_current_progress_counts_for_nobody():
    """A library may report without knowing whether it is part of a job."""
    current().update(total=3, details={"a": 1})
    assert list(track("abc")) == ["a", "b", "c"]
    assert current().facts().completed == 0
