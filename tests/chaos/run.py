"""One scenario: jobs, subscribers and faults in an order that a seed decides; figures come out."""

from __future__ import annotations

import itertools
import logging
import shutil
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Final

from jobcast.models import TERMINAL_STATUSES
from tests.chaos.faults import OUTAGES, Fault, inject
from tests.chaos.judge import Figures, Key, Run, arrivals_of, born_of, judge, newest_of
from tests.chaos.truth import Task, tasks_of
from tests.chaos.world import LEASE_MS, World, wait_until_answered
from tests.stack import http

logger = logging.getLogger(__name__)

#: Seconds without any event after which a run that is not complete is given up.
GIVE_UP: Final = 20.0
#: Seconds without any event that a complete run must stay complete.
QUIET: Final = 1.5
#: Seconds during which the last third of the subscribers comes.
LATE: Final = 10.0
#: Jobs for each child of the two workers, so that the work lasts as long as the faults, about 35 s.
JOBS_PER_CHILD: Final = 80


@dataclass(frozen=True, slots=True)
class Scenario:
    """Which faults may strike, and how many do; ``gaps`` are the seconds between two of them.

    Of those ``beside`` them one strikes at the same moment as each; they must concern other processes.
    """

    name: str
    what: str
    faults: Sequence[str]
    strikes: int = 6
    gaps: tuple[float, float] = (1.5, 4.0)
    beside: Sequence[str] = ()


def run(scenario: Scenario, seed: int, jobs: int, folder: Path | None = None) -> Figures:
    """Run it in a folder of its own, whose logs stay when a count is broken."""
    where = folder or Path(tempfile.mkdtemp(prefix=f"chaos-{scenario.name}-"))
    figures = Figures(scenario.name, seed)
    rng = Random(f"{scenario.name} {seed}")
    begun = time.monotonic()
    with World(where, concurrency=max(1, round(jobs / JOBS_PER_CHILD))) as world:
        subscribed, faults = _play(world, scenario, rng, jobs)
        judge(_observed(world, subscribed, faults), figures)
    figures.seconds = time.monotonic() - begun
    if not figures.counts_hold:
        figures.evidence.append(f"logs: {where.name} in the folder for temporary files")
    elif folder is None:
        shutil.rmtree(where)
    return figures


def _play(world: World, scenario: Scenario, rng: Random, jobs: int) -> tuple[dict[Key, float], list[Fault]]:
    work = _work(rng, jobs)
    now = time.monotonic()
    late = {job_id: now + 3 + rng.uniform(0, LATE) for job_id in rng.sample(sorted(work), jobs // 3)}
    when = {job_id: late.get(job_id, now) for job_id in work}
    world.start_clients(when)
    wait_until_answered(world, 2 * (jobs - len(late)))
    world.send(work)
    faults = _strike(world, scenario, rng)
    _settle(world, when, faults)
    subscribed = {
        (name, job_id): when[job_id] for name, followed in world.followed.items() for job_id in followed
    }
    return subscribed, faults


def _work(rng: Random, jobs: int) -> dict[str, tuple[str, int, float]]:
    """Tasks of a fifth of a second to one and a half; one in ten fails, one in ten is retried."""
    kinds = ["count"] * 8 + ["fail", "retry"]
    return {
        f"{rng.getrandbits(64):016x}": (rng.choice(kinds), rng.randint(10, 30), rng.uniform(0.02, 0.05))
        for _ in range(jobs)
    }


def _strike(world: World, scenario: Scenario, rng: Random) -> list[Fault]:
    faults: list[Fault] = []
    first, second = (_order(names, scenario.strikes, rng) for names in (scenario.faults, scenario.beside))
    for names in itertools.zip_longest(first, second):
        time.sleep(rng.uniform(*scenario.gaps))
        faults += _at_once(world, [name for name in names if name], rng)
    return faults


def _at_once(world: World, names: Sequence[str], rng: Random) -> list[Fault]:
    chances = [Random(rng.getrandbits(64)) for _ in names]
    with ThreadPoolExecutor(len(names)) as pool:
        faults = list(pool.map(inject, names, itertools.repeat(world), chances))
    for fault in faults:
        logger.info("  %-14s %s, %.1f s", fault.name, fault.detail, fault.end - fault.start)
    return sorted(faults, key=lambda fault: fault.end)


def _order(faults: Sequence[str], strikes: int, rng: Random) -> list[str]:
    """Every fault in turn, shuffled, until there are enough."""
    names: list[str] = []
    while faults and len(names) < strikes:
        names += rng.sample(list(faults), len(faults))
    return names[:strikes]


def _tasks(world: World, faults: list[Fault]) -> dict[str, Task]:
    killed = {pid: fault.end for fault in faults for pid in fault.killed}
    outages = [(fault.start, fault.end) for fault in faults if fault.name in OUTAGES]
    return tasks_of(world.truth.lines(), killed, outages)


def _settle(world: World, when: dict[str, float], faults: list[Fault]) -> None:
    """Until every job is over and every subscriber has been told so, or nothing moves any more."""
    while True:
        time.sleep(0.25)
        tasks = _tasks(world, faults)
        moved = max([line[1] for tail in (world.truth, *world.records) for line in tail.lines()[-1:]])
        still = time.monotonic() - max(moved, *when.values())
        complete = len(tasks) == len(when) and all(t.is_over for t in tasks.values())
        if still > (QUIET if complete and _all_told(world, tasks) else GIVE_UP):
            return


def _all_told(world: World, tasks: dict[str, Task]) -> bool:
    lines = world.lines()
    newest = newest_of(lines)
    last: dict[Key, str] = {}
    for key, arrivals in arrivals_of(lines).items():
        if arrivals[-1].process == newest[key[0]]:
            last[key] = arrivals[-1].event["status"]
    expected = sum(len(followed) for followed in world.followed.values())
    return len(last) == expected and all(status in TERMINAL_STATUSES for status in last.values())


def _observed(world: World, subscribed: dict[Key, float], faults: list[Fault]) -> Run:
    polled = {job_id: _poll(world, job_id) for job_id in {key[1] for key in subscribed}}
    lines = world.lines()
    tasks = _tasks(world, faults)
    lease = LEASE_MS / 1000
    newest, born = newest_of(lines), born_of(lines)
    return Run(subscribed, arrivals_of(lines), tasks, faults, polled, newest, lease, born)


def _poll(world: World, job_id: str) -> dict[str, Any] | None:
    answer = http("GET", f"{world.url}/api/jobs/{job_id}")
    return answer.json() if answer.status == 200 else None
