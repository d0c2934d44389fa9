"""The short form of `make chaos`: one run with a fault of each kind, and a judge that is not blind."""

from __future__ import annotations

from typing import Any

import pytest

from tests.chaos import report
from tests.chaos.faults import Fault
from tests.chaos.judge import Arrival, Figures, Run, judge
from tests.chaos.run import Scenario, run
from tests.chaos.soak import BOUND, slope
from tests.chaos.truth import Task, tasks_of

SHORT = Scenario(
    "short",
    "one fault of each kind",
    ("kill-pubsub", "kill-normal", "restart-store", "kill-child", "stop-web", "kill-client", "cut-network"),
    strikes=7,
    gaps=(0.3, 1.2),
)


def event(sequence: int, status: str = "in_progress", **more: Any) -> dict[str, Any]:
    """An update of the only job there is."""
    return {"jobId": "j", "status": status, "sequence": sequence, "epoch": "e", "attempt": 1, **more}


def figures(*events: dict[str, Any], polled: dict[str, Any] | None = None, **run: Any) -> Figures:
    """What the judge says when these events arrive a second apart, from 1 on, at one subscriber."""
    arrivals = [Arrival(at, "7-0", event) for at, event in enumerate(events, 1)]
    known: dict[str, Any] = {"tasks": {}, "faults": [], **run}
    whole = Run(
        subscribed={("c", "j"): 0.0},
        arrivals={("c", "j"): arrivals},
        polled={"j": polled or events[-1]},
        newest={"c": "7"},
        lease=1.0,
        **known,
    )
    return judge(whole, Figures("one", 0))


def test_a_plain_run_holds():
    """Rising sequences and one end that the poll confirms."""
    judged = figures(event(1), event(2), event(4, "completed"))
    assert judged.counts_hold, judged.evidence
    assert judged.finals == 1


@pytest.mark.parametrize(
    ("events", "kind"),
    [
        ([event(2), event(1), event(3, "completed")], "regressions"),
        ([event(2), event(2), event(3, "completed")], "regressions"),
        ([event(1, progress=50), event(2, progress=40), event(3, "completed")], "regressions"),
        ([event(1, "failed"), event(2)], "regressions"),
        ([event(1), event(2, epoch="f"), event(3)], "regressions"),
        ([event(1), event(2, "completed"), event(2, "completed")], "duplicates"),
        ([event(1), event(2, "failed"), event(3, "completed")], "duplicates"),
    ],
)
def test_the_judge_sees_what_must_not_happen(events, kind):
    """Steps back of every sort, and a second end."""
    judged = figures(*events)
    assert getattr(judged, kind) >= 1
    assert not judged.counts_hold


def test_a_subscriber_that_is_left_at_99_percent_is_counted():
    """Its last event is no end, or not the one that a poll tells."""
    assert figures(event(1), event(2, progress=99.9)).finals == 0
    assert figures(event(1, "completed"), polled=event(3, "completed")).finals == 0


def test_an_end_that_the_task_contradicts_is_wrong():
    """The task counted to its end; its job is said to have failed."""
    task = Task("j", started=0.0, pid=1, ended=1.0, status="completed")
    assert figures(event(1), event(2, "failed"), tasks={"j": task}).wrong_ends == 1


def test_a_worker_that_was_killed_before_it_could_reach_the_store_is_not_believed_to_have_told():
    """The store was away from 2 to 4; what happened then is told by 6.5, if its process lives so long."""
    lines = [["start", 2.1, "j", 7, ""], ["end", 2.8, "j", 7, "completed"]]
    (task,) = tasks_of(lines, {7: 5.0}, [(2.0, 4.0)]).values()
    assert (task.killed, task.unheard) == (5.0, True)
    for killed, outages in ((7.0, [(2.0, 4.0)]), (5.0, [])):
        (task,) = tasks_of(lines, {7: killed}, outages).values()
        assert (task.killed, task.unheard) == (None, False)


def test_time_counts_from_the_end_of_the_fault():
    """A fault of nine seconds excuses nine seconds, and none of those that follow."""
    task = Task("j", started=0.0, pid=1, ended=1.5, status="completed")
    arriving = [event(n) for n in range(1, 13)] + [event(13, "completed")]
    assert figures(*arriving, tasks={"j": task}).convergence == 11.5
    fault = Fault("stop-web", start=1.0, end=10.0)
    assert figures(*arriving, tasks={"j": task}, faults=[fault]).convergence == 3.0


def test_nothing_is_lost_while_everything_breaks(tmp_path):
    """Sixty jobs, two subscribers each, seven faults; counts decide, times are printed."""
    judged = run(SHORT, seed=11, jobs=60, folder=tmp_path)
    print(judged)
    assert judged.counts_hold, "\n".join([*judged.injected, *judged.evidence])
    assert judged.started == judged.jobs
    assert judged.faults == SHORT.strikes


def test_the_soak_sees_a_leak_and_no_leak_in_steps():
    """Two kilobytes a job under the noise of a collector, against one late step of many megabytes."""
    noise = [2e6 * (n % 37) / 37 for n in range(600)]
    leaking = [(float(n), 1e8 + 2048 * n + noise[n]) for n in range(600)]
    stepping = [(float(n), 1e8 + noise[n] + (2e7 if n > 540 else 0)) for n in range(600)]
    assert slope(leaking) > BOUND > abs(slope(stepping))


def test_a_single_run_replaces_its_own_row_of_the_page(tmp_path):
    """What was not run stays as it was, with the commit it was measured at."""
    page = tmp_path / "page.md"
    page.write_text(f"before\n{report.MARKS[0]}\n{report.MARKS[1]}\nafter\n")

    def write(commit: str, *names: str, measure: str) -> None:
        result = report.begin(1, 1) | {"commit": commit}
        for name in names:
            report.add(result, Figures(name, 1))
        report.add_measure(result, measure, {"text": f"{measure} text\n\n| a | b |", "holds": True})
        report.write_page(result, page)

    write("aaaaaaa", "hang", "calm", measure="cost")
    write("bbbbbbb", "hang", measure="soak")
    lines = page.read_text().splitlines()
    rows = [(line.split()[1], line.split()[-2]) for line in lines if line.startswith(("| calm", "| hang"))]
    assert rows == [("calm", "aaaaaaa"), ("hang", "bbbbbbb")]
    texts = [line for line in lines if line.startswith(("**", "| a"))]
    assert texts == [
        "**cost** (at aaaaaaa) cost text",
        "| a | b |",
        "**soak** (at bbbbbbb) soak text",
        "| a | b |",
    ]
    assert (lines[0], lines[-1]) == ("before", "after")
