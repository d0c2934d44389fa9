"""Jobs of processes that live but cannot say so: C code holds their interpreter's lock, maybe for minutes.

A process next to them, which would know if one were gone, renews their leases as soon as they have run out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from jobcast.ledger.port import Ledger
from jobcast.models import now


class BusyJobs:
    """``running`` names the jobs of all such processes; ``lease`` is in seconds, moments those of a clock."""

    def __init__(self, running: Callable[[], Iterable[str]], lease: float) -> None:
        self._running = running
        self._lease = lease
        #: When a job that is busy must have renewed its lease itself, if it is not busy any more.
        self._busy_until: dict[str, float] = {}
        self.due_at = float("-inf")

    def look(self, ledger: Ledger, moment: float) -> None:
        """Renew what has run out, and say which jobs are busy and which are not any more."""
        self.due_at = moment + self._lease / 4
        running = set(self._running())
        if not running and not self._busy_until:
            return
        late = {lease.topic.id: lease.topic for lease in ledger.overdue() if lease.topic.id in running}
        if late:
            ledger.touch(list(late.values()), self._lease)
        for job_id in [job_id for job_id, until in self._busy_until.items() if until < moment]:
            if job_id not in late:
                _say(ledger, job_id, None)
                del self._busy_until[job_id]
        for job_id in late:
            _say(ledger, job_id, True)
            self._busy_until[job_id] = moment + 1.5 * self._lease


def _say(ledger: Ledger, job_id: str, busy: bool | None) -> None:
    job = ledger.job(job_id)
    if job is not None and job.status == "in_progress" and job.busy != busy:
        change = {"busy": busy, "stalled": None, "timestamp": now()}
        ledger.append_job(job.model_copy(update=change), mergeable=False, expected_sequence=job.sequence)
