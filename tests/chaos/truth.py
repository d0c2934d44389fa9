"""Files of lines that other processes write: what the tasks did and what the clients were sent."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

Line = list[Any]
#: Seconds a reporter may take to find a store that is back, and to say the last things it knows.
FINDS: Final = 2.0
SAYS: Final = 0.5


class Tail:
    """A growing file of JSON lines; each call reads only what is new."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lines: list[Line] = []
        self._read = 0

    def lines(self) -> list[Line]:
        """All whole lines so far."""
        if not self.path.exists():
            return self._lines
        with self.path.open("rb") as file:
            file.seek(self._read)
            *whole, _ = file.read().split(b"\n")
        self._read += sum(len(line) + 1 for line in whole)
        self._lines += [json.loads(line) for line in whole]
        return self._lines


@dataclass(slots=True)
class Task:
    """What became of a job, by its own account and by that of whoever killed its worker."""

    job_id: str
    started: float
    pid: int
    ended: float | None = None
    status: str | None = None
    killed: float | None = None
    #: Whether it was killed before it could say to any store that it began.
    unheard: bool = False

    @property
    def is_over(self) -> bool:
        return self.ended is not None or self.killed is not None


#: When a store was away: from, to.
Outage = tuple[float, float]


def tasks_of(lines: list[Line], killed: dict[int, float], outages: Sequence[Outage] = ()) -> dict[str, Task]:
    """The newest run of each job; ``killed`` are process ids and when they were."""
    tasks: dict[str, Task] = {}
    for what, at, job_id, pid, status in lines:
        if what == "start":
            tasks[job_id] = Task(job_id, at, pid)
        else:
            task = tasks[job_id]
            task.ended, task.status, task.pid = at, status, pid
    for task in tasks.values():
        at = killed.get(task.pid)
        # Killed right after its last line: it may not have got to say so anywhere else.
        if at is not None and at >= task.started and (task.ended is None or said(task.ended, outages) > at):
            task.killed = at
            task.unheard = said(task.started, outages) > at
    return tasks


def said(at: float, outages: Sequence[Outage]) -> float:
    """By when what happened then has been said, if the process lives so long."""
    for start, end in sorted(outages):
        if start - SAYS <= at < end + FINDS:
            at = max(at, end + FINDS)
    return at + SAYS
