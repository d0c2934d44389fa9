"""Files of lines that other processes write: what the tasks did and what the clients were sent."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Line = list[Any]


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

    @property
    def is_over(self) -> bool:
        return self.ended is not None or self.killed is not None


def tasks_of(lines: list[Line], killed: dict[int, float]) -> dict[str, Task]:
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
        if at is not None and at >= task.started and (task.ended is None or task.ended > at - 0.5):
            task.killed = at
    return tasks
