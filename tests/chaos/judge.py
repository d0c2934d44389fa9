"""From what the tasks did, what was done to them and what arrived, to figures. Pure; no process here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final, NamedTuple

from jobcast.confirmations import LOOK_AFTER
from jobcast.models import TERMINAL_STATUSES
from tests.chaos.faults import Fault
from tests.chaos.truth import SAYS, Line, Task

#: Seconds after a fault's end within which everybody has to know.
CONVERGENCE: Final = 2.0
#: Lease periods after which a killed worker's job has ended, and one for the sweep.
LEASES: Final = 4
#: Seconds a subscriber is given to be told the state it asked for.
TOLD: Final = 0.5
#: Findings kept as evidence, of each kind.
EVIDENCE: Final = 10


class Arrival(NamedTuple):
    """One event at one subscriber; ``incarnation`` is the process and connection it came through."""

    at: float
    incarnation: str
    event: dict[str, Any]

    @property
    def place(self) -> tuple[str, int]:
        return self.event["epoch"], self.event["sequence"]

    @property
    def process(self) -> str:
        return self.incarnation.partition("-")[0]

    @property
    def is_terminal(self) -> bool:
        return self.event["status"] in TERMINAL_STATUSES


@dataclass(slots=True)
class Figures:
    """One scenario's result; times are seconds."""

    scenario: str
    seed: int
    jobs: int = 0
    subscriptions: int = 0
    faults: int = 0
    started: int = 0
    finals: int = 0
    #: Subscriptions to a job that had ended and that the store then lost, before anybody asked for it, or
    #: that was begun and lost with its worker while the store was away.
    forgotten: int = 0
    wrong_ends: int = 0
    regressions: int = 0
    duplicates: int = 0
    false_losses: int = 0
    arrivals: int = 0
    #: Worst time until a subscriber had what the ledger held, and an end the task had reached.
    convergence: float = 0.0
    #: Worst time until the job of a killed worker was said to have failed.
    lease: float = 0.0
    lease_bound: float = 0.0
    seconds: float = 0.0
    evidence: list[str] = field(default_factory=list)
    injected: list[str] = field(default_factory=list)

    @property
    def counts_hold(self) -> bool:
        complete = self.finals + self.forgotten == self.subscriptions and self.finals > 0
        return complete and not (self.wrong_ends or self.regressions or self.duplicates)

    @property
    def times_hold(self) -> bool:
        return self.convergence <= CONVERGENCE and self.lease <= self.lease_bound

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"counts_hold": self.counts_hold, "times_hold": self.times_hold}


Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Run:
    """All that is known of one run: ``subscribed`` says when each connection asked for each job."""

    subscribed: Mapping[Key, float]
    arrivals: Mapping[Key, list[Arrival]]
    tasks: Mapping[str, Task]
    faults: list[Fault]
    polled: Mapping[str, dict[str, Any] | None]
    #: The process that a connection lives in since its client was last started.
    newest: Mapping[str, str]
    lease: float
    #: When a client that started again was first connected; by connection and process.
    born: Mapping[tuple[str, str], float] = field(default_factory=dict)


def arrivals_of(lines: Iterable[Line]) -> dict[Key, list[Arrival]]:
    """Events by connection and job, in the order in which they came."""
    found: dict[Key, list[Arrival]] = {}
    for line in lines:
        if line[0] == "event":
            _, at, connection, incarnation, event = line
            found.setdefault((connection, event["jobId"]), []).append(Arrival(at, incarnation, event))
    return found


def newest_of(lines: Iterable[Line]) -> dict[str, str]:
    """The last process of each connection."""
    return {line[2]: line[3].partition("-")[0] for line in lines if line[0] == "open"}


def born_of(lines: Iterable[Line]) -> dict[tuple[str, str], float]:
    """When each connection was first opened in each process."""
    born: dict[tuple[str, str], float] = {}
    for line in lines:
        if line[0] == "open":
            born.setdefault((line[2], line[3].partition("-")[0]), line[1])
    return born


def judge(run: Run, figures: Figures) -> Figures:
    """Fill in the figures."""
    figures.jobs, figures.faults = len(run.polled), len(run.faults)
    figures.subscriptions, figures.started = len(run.subscribed), len(run.tasks)
    figures.injected = [f"{fault.name}: {fault.detail}" for fault in run.faults]
    figures.lease_bound = LEASES * run.lease
    for key in run.subscribed:
        arrivals = run.arrivals.get(key, [])
        figures.arrivals += len(arrivals)
        _judge_order(key, arrivals, figures)
        _judge_final(run, key, arrivals, figures)
        _judge_catching_up(run, key, arrivals, figures)
    figures.false_losses = _false_losses(run)
    return figures


def _judge_order(key: Key, arrivals: list[Arrival], figures: Figures) -> None:
    """Each event against the newest this process has seen, and against all this connection has."""
    newest: dict[str, Arrival] = {}
    for arrival in arrivals:
        last = newest.get(arrival.process)
        wrong = _step(last, arrival) if last else None
        if wrong is None:
            newest[arrival.process] = arrival
            continue
        kind, what = wrong
        setattr(figures, kind, getattr(figures, kind) + 1)
        _note(figures, f"{what} at {key}: {_brief(last)} then {_brief(arrival)}", kind)
    _judge_epochs(key, arrivals, figures)


def _step(last: Arrival, arrival: Arrival) -> tuple[str, str] | None:
    """What is wrong with this arrival after that one."""
    if last.event["epoch"] != arrival.event["epoch"]:
        return None
    same_attempt = last.event.get("attempt") == arrival.event.get("attempt")
    if same_attempt and last.is_terminal and arrival.is_terminal:
        return "duplicates", "terminal twice"
    if arrival.event["sequence"] <= last.event["sequence"]:
        return "regressions", "sequence back"
    if same_attempt and last.is_terminal:
        return "regressions", "alive after the end"
    if same_attempt and (arrival.event.get("progress") or 100) < (last.event.get("progress") or 0):
        return "regressions", "progress back"
    return None


def _judge_epochs(key: Key, arrivals: list[Arrival], figures: Figures) -> None:
    """An epoch that was left must not come back."""
    epochs = [a.event["epoch"] for i, a in enumerate(arrivals) if not i or _epoch_before(arrivals, i)]
    if len(epochs) != len(set(epochs)):
        figures.regressions += 1
        _note(figures, f"epoch back at {key}: {epochs}", "regressions")


def _epoch_before(arrivals: list[Arrival], i: int) -> bool:
    return bool(arrivals[i - 1].event["epoch"] != arrivals[i].event["epoch"])


def _judge_final(run: Run, key: Key, arrivals: list[Arrival], figures: Figures) -> None:
    connection, job_id = key
    polled, task = run.polled[job_id], run.tasks.get(job_id)
    last = _last(run, connection, arrivals, polled)
    if last is None and polled is None and _is_forgotten(run, key):
        figures.forgotten += 1
        return
    if last is None or not last.is_terminal or (polled and _key_facts(last.event) != _key_facts(polled)):
        _note(figures, f"not the end at {key}: {_brief(last)}, poll {_key_facts(polled)}, {task}", "finals")
        return
    figures.finals += 1
    if _contradicts(task, last.event["status"]):
        figures.wrong_ends += 1
        _note(figures, f"wrong end at {key}: {_brief(last)}, {task}", "wrong")
    _time_final(run, key, [arrival for arrival in arrivals if arrival.place == last.place], figures)


def _last(
    run: Run, connection: str, arrivals: list[Arrival], polled: Mapping[str, Any] | None
) -> Arrival | None:
    """The last event; of a client that started again, in its new life, if the job is still known."""
    if polled is not None:
        arrivals = [arrival for arrival in arrivals if arrival.process == run.newest[connection]]
    return arrivals[-1] if arrivals else None


def _is_forgotten(run: Run, key: Key) -> bool:
    """Whether the store lost this job after its end and before this subscriber could be told.

    Or its worker was killed while the store was away, before anybody had heard of the job.
    """
    task = run.tasks.get(key[1])
    if task and task.unheard:
        return True
    ended = task.ended if task else None
    return ended is not None and any(
        (fault.name == "empty-store" and ended < fault.start < run.subscribed[key] + TOLD)
        or (fault.name == "age-store" and ended < fault.end and fault.start < run.subscribed[key] + TOLD)
        for fault in run.faults
    )


def _contradicts(task: Task | None, status: str) -> bool:
    """Whether the job is said to have ended otherwise than by its own account."""
    return task is not None and task.status is not None and not task.killed and task.status != status


def _time_final(run: Run, key: Key, same: list[Arrival], figures: Figures) -> None:
    """``same`` are the arrivals of the final: one, and one more for each new life of the client."""
    task = run.tasks.get(key[1])
    if task is None or not task.is_over:
        return
    over, name = (task.ended or 0.0), "convergence"
    within = CONVERGENCE
    if task.killed is not None:
        over, name, within = task.killed, "lease", figures.lease_bound
    elif _is_repaired(run, over):
        name, within = "lease", figures.lease_bound
    first: dict[str, Arrival] = {}
    for arrival in same:
        first.setdefault(arrival.process, arrival)
    for process, arrival in first.items():
        begin = max(over, run.subscribed[key], run.born.get((key[0], process), 0.0))
        ready = _ready(run, key, begin, arrival.at, within)
        _worst(figures, name, arrival.at - ready, f"{task} at {key}")


def _is_repaired(run: Run, ended: float) -> bool:
    """Whether the store lost this end, and its worker or the sweeper has to find that out first."""
    return any(
        (f.name == "age-store" and f.start - SAYS <= ended < f.end)
        or (f.name == "empty-store" and f.start - LOOK_AFTER - SAYS <= ended < f.end)
        for f in run.faults
    )


def _judge_catching_up(run: Run, key: Key, arrivals: list[Arrival], figures: Figures) -> None:
    """After each fault: when did this subscriber have what the ledger held at its end?"""
    for fault in run.faults:
        held = fault.positions.get(key[1])
        if held is None or run.subscribed[key] > fault.end:
            continue
        caught_up = _first_at_least(arrivals, held)
        if caught_up is None:
            continue  # an older epoch, or a final that is missing and was counted as such
        ready = _ready(run, key, fault.end, caught_up)
        _worst(figures, "convergence", caught_up - ready, f"{held} after {fault.name} at {key}")


def _first_at_least(arrivals: list[Arrival], held: tuple[int, str]) -> float | None:
    sequence, epoch = held
    return next(
        (a.at for a in arrivals if a.event["epoch"] == epoch and a.event["sequence"] >= sequence), None
    )


def _ready(run: Run, key: Key, ready: float, arrived: float, within: float = CONVERGENCE) -> float:
    """From when on the time counts: a fault that strikes while there is time left starts it anew."""
    for fault in run.faults:
        strikes = fault.start <= min(arrived, ready + within) and fault.end > ready
        if strikes and fault.concerns(key[0]):
            ready = fault.end
    return ready


def _false_losses(run: Run) -> int:
    """Jobs called lost although nobody touched their worker."""
    touched = {pid for fault in run.faults for pid in (*fault.killed, *fault.stopped)}
    lost = {
        a.event["jobId"]
        for arrivals in run.arrivals.values()
        for a in arrivals
        if a.event.get("error") == "worker lost"
    }
    return sum(1 for job in lost if job in run.tasks and run.tasks[job].pid not in touched)


def _worst(figures: Figures, name: str, seconds: float, what: str) -> None:
    bound = CONVERGENCE if name == "convergence" else figures.lease_bound
    if seconds > bound:
        _note(figures, f"{seconds:.2f} s: {what}", name)
    setattr(figures, name, max(getattr(figures, name), seconds))


def _note(figures: Figures, text: str, kind: str) -> None:
    if sum(1 for line in figures.evidence if line.startswith(f"[{kind}]")) < EVIDENCE:
        figures.evidence.append(f"[{kind}] {text}")


def _key_facts(event: Mapping[str, Any] | None) -> tuple[Any, ...] | None:
    names = ("status", "epoch", "sequence", "attempt", "progress", "error")
    return tuple(event.get(name) for name in names) if event else None


def _brief(arrival: Arrival | None) -> str:
    return f"{arrival.at:.2f} {arrival.incarnation} {_key_facts(arrival.event)}" if arrival else "nothing"
