"""One background thread per process that carries what tasks report into the ledger.

A task writes to memory and goes on. The thread looks at what changed, lets the debouncer cap the rate,
and appends to the ledger. When the ledger is away it keeps the newest state of each job and every event
that must not be merged, tries again with a capped, jittered back-off, and loses nothing but states that
were superseded anyway.

The way of one report: ``Progress.advance`` → ``Reporter.step`` → ``_collect`` → ``Debouncer.offer`` →
``_deliver`` → ``Ledger.append``.
"""

from __future__ import annotations

import itertools
import logging
import os
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Final, Literal

from jobcast.busy_jobs import BusyJobs
from jobcast.circuit_breaker import FIRST_PAUSE, CircuitBreaker
from jobcast.confirmations import EndConfirmations
from jobcast.debounce import Debouncer
from jobcast.errors import LedgerRefused, LedgerUnavailable
from jobcast.job import Delivery, End, Job
from jobcast.ledger.port import Appended, Ledger
from jobcast.models import JobStatus
from jobcast.progress import Progress
from jobcast.topics import Topic

logger = logging.getLogger(__name__)

#: Events that may wait for the ledger, besides one state per job; the oldest goes first.
BACKLOG_LIMIT: Final = 10_000
#: Jobs whose end was told as expected that are remembered, until somebody knows; the oldest goes first.
EXPECTED_LIMIT: Final = 1_000
#: Seconds a stopping process waits for what is still to be delivered.
CLOSE_TIMEOUT: Final = 5.0


#: What a newer delivery replaces: a topic, and a name for one of its streams of states.
Key = tuple[Topic, str]


@dataclass
class _State:
    """Everything that must be made anew in a forked child."""

    wake: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)
    thread: threading.Thread | None = None
    jobs: dict[str, Job] = field(default_factory=dict)
    mail: deque[tuple[Key | None, bool, Delivery]] = field(default_factory=deque)
    outbox: OrderedDict[Key, Delivery] = field(default_factory=OrderedDict)
    ends: EndConfirmations = field(default_factory=EndConfirmations)
    others: BusyJobs | None = None
    told_as_expected: OrderedDict[str, Job] = field(default_factory=OrderedDict)
    busy: bool = False
    hurry: bool = False
    closing: bool = False


@dataclass
class Reports:
    """What happened so far in this process: deliveries, failed tries, events that were given up.

    ``opened`` is how often the circuit breaker has opened, ``breaker`` how it stands.
    """

    delivered: int = 0
    failed: int = 0
    dropped: int = 0
    opened: int = 0
    breaker: Literal["closed", "open"] = "closed"

    def __str__(self) -> str:
        return ", ".join(f"{name} {value}" for name, value in asdict(self).items())


class Reporter:
    """Carries reports to the ledger; ``interval`` and ``lease`` are seconds.

    ``threaded=False`` leaves the stepping to the caller, for tests with a clock of their own.
    """

    #: What tasks report through; a test that records every step has one of its own.
    progress_type: type[Progress] = Progress

    def __init__(
        self,
        ledger: Ledger,
        *,
        interval: float = 1.0,
        lease: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
        threaded: bool = True,
    ) -> None:
        self._ledger = ledger
        self._interval = interval
        self.lease = lease
        self._clock = clock
        self._threaded = threaded
        self._numbers = itertools.count()
        self._reset()
        os.register_at_fork(after_in_child=self._reset)

    def start_job(
        self,
        job_id: str,
        *,
        retries: int = 0,
        meta: Mapping[str, str] | None = None,
        grace: float | None = None,
        terminate: Callable[[], None] = lambda: None,
    ) -> Progress:
        """Say that this process works on the job, and return what its task reports through.

        A task that goes on for ``grace`` seconds after its job was cancelled is to be ended by ``terminate``.
        """
        progress = self.progress_type(job_id, wake=self._wake)
        if not self._state.jobs:
            self._renew_at = self._clock() + self.lease / 2  # beginning gives the first lease
        job = Job(progress, retries, meta or {}, self._clock, self.lease)
        job.grace, job.terminate = grace, terminate
        self._state.jobs[job_id] = job
        self._wake()
        return progress

    def progress(self, job_id: str) -> Progress | None:
        """What a job that was started here reports through; None for any other."""
        job = self._state.jobs.get(job_id)
        return job.progress if job else None

    def end_job(
        self, job_id: str, status: JobStatus, error: str | None = None, error_type: str | None = None
    ) -> bool:
        """Say how a job that was started here ended; False when it was not started here."""
        end = End(status, error, error_type)
        job = self._state.jobs.get(job_id)
        if job is None:
            return self._correct(job_id, end)
        job.end(end)
        self._wake()
        return True

    def expect_end(
        self, job_id: str, status: JobStatus, error: str | None = None, error_type: str | None = None
    ) -> None:
        """Say how a job that was started here will probably end; ``end_job`` may know better.

        It is told after a short while, or when the process stops.
        """
        job = self._state.jobs.get(job_id)
        if job is not None:
            job.expect(End(status, error, error_type))
            self._wake()

    def replace_job(self, job_id: str) -> None:
        """Say that something else goes on under the id of a job that was started here."""
        job = self._state.jobs.get(job_id)
        if job is not None:
            job.end(End("pending", replaced=True))
            self._wake()

    def abandon_job(self, job_id: str, *, unless_expected: bool = False) -> None:
        """Stop reporting a job that has not ended: another process knows, or will know, how it did."""
        job = self._state.jobs.get(job_id)
        if job is None or job.ended is not None or (unless_expected and job.expected_at is not None):
            return
        del self._state.jobs[job_id]

    def renew_for(self, running: Callable[[], Iterable[str]]) -> None:
        """Renew the leases of jobs that live processes run which cannot do so themselves.

        ``running`` names the jobs of all such processes of this one, whenever it is asked.
        """
        self._state.others = BusyJobs(running, self.lease)
        self._wake()

    def beside(self) -> tuple[Ledger, BusyJobs]:
        """For a thread that looks after the jobs of this process while its loop is blocked."""
        return self._ledger.again(), BusyJobs(lambda: list(self._state.jobs), self.lease)

    def post(self, delivery: Delivery, key: Key | None = None, *, urgent: bool = False) -> None:
        """Deliver something soon, in order; with a ``key``, a newer one replaces it meanwhile."""
        if len(self._state.mail) >= BACKLOG_LIMIT:
            self._drop(self._state.mail.popleft()[2])
        self._state.mail.append((key, urgent, delivery))
        self._wake()

    def flush(self, timeout: float = CLOSE_TIMEOUT) -> bool:
        """Wait until all that was reported is in the ledger; False when time ran out first."""
        deadline = time.monotonic() + timeout
        while not self._is_idle():
            if time.monotonic() >= deadline:
                return False
            self._wake()
            time.sleep(0.005)
        return True

    def close(self, timeout: float = CLOSE_TIMEOUT) -> None:
        """Deliver what is left, for at most ``timeout`` seconds, and say what could not be."""
        self._state.hurry = True
        for job in list(self._state.jobs.values()):
            job.settle()
        if not self._is_idle() and not self.flush(timeout):
            for delivery in self._undelivered():
                logger.error("not delivered before the process stopped: %s", delivery.topic.room)
        self._state.closing = True
        self._state.wake.set()

    def step(self) -> None:
        """One pass of the thread: see what changed, deliver what may go out, renew the leases."""
        self._collect()
        if self._state.outbox and self._breaker.allows:
            self._attempt(self._deliver)
        if self._state.jobs and self._breaker.allows and self._clock() >= self._renew_at:
            self._attempt(self._renew)
        if self._state.others and self._is_due(self._state.others.due_at) and self._breaker.allows:
            self._attempt(self._renew_for_others)
        if self._is_due(self._state.ends.next_due) and self._breaker.allows:
            self._attempt(self._look_at_ends)
        self._look_around()  # a job that moved meanwhile waits its turn; any other may rest

    def _reset(self) -> None:
        self._state = _State()
        self.counters = Reports()
        self._debouncer: Debouncer[Key, tuple[Key, Delivery]] = Debouncer(self._interval, self._clock)
        self._breaker = CircuitBreaker(self._clock)
        self._renew_at = self._clock()

    # Reports, in the caller's thread.

    def _wake(self) -> None:
        state = self._state
        if state.thread is None and self._threaded:
            self._start(state)
        state.wake.set()

    def _start(self, state: _State) -> None:
        with state.lock:
            if state.thread is None:
                state.thread = threading.Thread(
                    target=self._run, args=(state,), name="jobcast-reporter", daemon=True
                )
                state.thread.start()

    # The thread.

    def _run(self, state: _State) -> None:
        while not state.closing:
            state.wake.wait(self._next_wake())
            state.wake.clear()
            state.busy = True
            try:
                self.step()
            except Exception:
                logger.exception("the reporter's thread goes on after an error of its own")
                time.sleep(FIRST_PAUSE)
            finally:
                state.busy = False

    def _next_wake(self) -> float:
        """Seconds until there is something to do, if nothing is reported before."""
        waits = [self.lease]
        if (due := self._debouncer.next_due()) is not None:
            waits.append(due)
        if self._state.jobs:
            waits.append(max(self._renew_at, self._breaker.retry_at) - self._clock())
        if self._state.others is not None:
            waits.append(max(self._state.others.due_at, self._breaker.retry_at) - self._clock())
        if self._state.outbox:
            waits.append(self._breaker.retry_at - self._clock())
        waits += [at - self._clock() for job in list(self._state.jobs.values()) if (at := job.expected_at)]
        if (look_at := self._state.ends.next_due) is not None:
            waits.append(max(look_at, self._breaker.retry_at) - self._clock())
        return max(0.0, min(waits))

    def _collect(self) -> None:
        state = self._state
        while state.mail:
            self._accept(*state.mail.popleft())
        self._look_around()
        ready = self._debouncer.take_all() if state.hurry else self._debouncer.due()
        for key, delivery in ready:
            self._put(key, delivery)

    def _accept(self, key: Key | None, urgent: bool, delivery: Delivery) -> None:
        if key is None:
            self._let_progress_go_first(delivery.topic)
            self._put((delivery.topic, f"event {next(self._numbers)}"), delivery)
        elif ready := self._debouncer.offer(key, (key, delivery), urgent=urgent):
            self._put(*ready)

    def _let_progress_go_first(self, topic: Topic) -> None:
        """Progress that was reported before an event is delivered before it."""
        for key in self._debouncer.waiting():
            if key[0] == topic and (held := self._debouncer.take(key)):
                self._put(*held)

    def _look_around(self) -> None:
        for job in list(self._state.jobs.values()):
            try:
                self._look_at(job)
            except Exception:  # noqa: BLE001  # one job must not keep the others from being seen
                self._give_up(job)

    def _look_at(self, job: Job) -> None:
        key = (job.topic, "")
        if self._is_due(job.expected_at) and job.settle():
            self._remember_expected(job)
        if job.changed:
            ready = self._debouncer.offer(key, (key, job), urgent=job.urgent)
            if ready:
                self._put(*ready)
        elif not self._debouncer.is_waiting(key):
            job.progress.rest()
            if job.changed:  # reported between the look and the rest
                self._state.wake.set()

    def _remember_expected(self, job: Job) -> None:
        told = self._state.told_as_expected
        told[job.progress.job_id] = job
        while len(told) > EXPECTED_LIMIT:
            told.popitem(last=False)

    def _correct(self, job_id: str, end: End) -> bool:
        """Somebody knows how a job ended that was told to have ended as expected."""
        job = self._state.told_as_expected.pop(job_id, None)
        if job is None:
            return False
        if job.correct(end):
            self.post(job)
        return True

    def _give_up(self, job: Job) -> None:
        """Say no more of a job whose reports cannot be read."""
        self.counters.dropped += 1
        logger.exception("job %s cannot be reported any more", job.progress.job_id)
        job.over = True
        self._state.jobs.pop(job.progress.job_id, None)

    def _put(self, key: Key, delivery: Delivery) -> None:
        outbox = self._state.outbox
        if key not in outbox and len(outbox) >= BACKLOG_LIMIT:
            self._drop(outbox.popitem(last=False)[1])
        outbox[key] = delivery

    def _drop(self, delivery: Delivery) -> None:
        self.counters.dropped += 1
        logger.error("backlog is full, dropped an event of %s", delivery.topic.room)

    def _attempt(self, action: Callable[[], None]) -> None:
        """Run against the ledger; a failure opens the circuit breaker, a success closes it."""
        try:
            action()
        except LedgerUnavailable as error:
            self._note_failure(error)
        except Exception:  # what else is to be done in this step must not suffer from it
            self.counters.failed += 1
            logger.exception("the reporter goes on after an error of its own")
        else:
            self._note_success()

    def _note_failure(self, error: LedgerUnavailable) -> None:
        self.counters.failed += 1
        if not self._breaker.is_open:
            self.counters.opened += 1
            self.counters.breaker = "open"
            logger.warning("circuit breaker open, reports are kept: %s", error)
        self._breaker.failed()

    def _note_success(self) -> None:
        if self._breaker.is_open:
            self.counters.breaker = "closed"
            self._state.ends.hurry()
            logger.warning("circuit breaker closed, the ledger is back: %s", self.counters)
        self._breaker.succeeded()

    def _deliver(self) -> None:
        outbox = self._state.outbox
        while outbox:
            key = next(iter(outbox))
            delivery = outbox[key]
            appended = self._append(delivery)
            if outbox.get(key) is delivery:
                del outbox[key]
            if isinstance(delivery, Job):
                self._after_job(delivery, appended)

    def _append(self, delivery: Delivery) -> Appended | None:
        """Deliver; None when it can never be, which must not hold up the rest."""
        try:
            appended = delivery.deliver(self._ledger)
        except LedgerUnavailable:
            raise
        except Exception as error:  # an odd value is somebody's mistake, and costs no other job its reports
            self.counters.dropped += 1
            logger.exception("dropped an event of %s", delivery.topic.room)
            if isinstance(error, LedgerRefused) or not isinstance(delivery, Job) or delivery.bare:
                return None
            delivery.bare = True
            return self._append(delivery)
        self.counters.delivered += 1
        return appended

    def _after_job(self, job: Job, appended: Appended | None) -> None:
        if appended is None:
            job.over = True
        elif appended.cancel_requested and job.ended is None:
            self._cancel(job)
        if job.over:
            self._debouncer.forget((job.topic, ""))
            if self._state.jobs.get(job.progress.job_id) is job:
                del self._state.jobs[job.progress.job_id]
            if appended is not None and appended.stored and job.has_ended:
                self._state.ends.add(job, self._clock())
            if appended is None or appended.outcome != "stale":
                self._ledger.release(job.topic)

    def _renew(self) -> None:
        jobs = {job.topic.room: job for job in self._state.jobs.values() if not job.over}
        self._renew_at = self._clock() + self.lease / 2
        if jobs:
            for room in self._ledger.touch([job.topic for job in jobs.values()], self.lease):
                self._cancel(jobs[room])

    def _renew_for_others(self) -> None:
        if self._state.others is not None:
            self._state.others.look(self._ledger, self._clock())

    def _cancel(self, job: Job) -> None:
        """Stop the task at its next report; and let those who watch know that it is asked to."""
        if not job.cancel_requested:
            job.cancel_requested = True
            job.progress.cancel()
            if job.grace is not None:
                timer = threading.Timer(job.grace, self._terminate, [job])
                timer.daemon = True
                timer.start()

    def _terminate(self, job: Job) -> None:
        """In a thread of its own, as it may take long."""
        if self._state.jobs.get(job.progress.job_id) is not job or job.ended is not None:
            return
        logger.warning("job %s ignores that it was cancelled, its process is ended", job.progress.job_id)
        try:
            job.terminate()
        except Exception:
            logger.exception("job %s cannot be terminated", job.progress.job_id)

    def _is_due(self, at: float | None) -> bool:
        return at is not None and self._clock() >= at

    def _look_at_ends(self) -> None:
        if told := self._state.ends.look(self._ledger, self._clock()):
            logger.warning("the store had lost the ends of %s jobs, which were told again", told)

    # Looking in from outside.

    def _is_idle(self) -> bool:
        state = self._state
        changed = any(job.changed for job in list(state.jobs.values()))
        return not (state.mail or state.outbox or state.busy or changed or self._debouncer.waiting())

    def _undelivered(self) -> list[Delivery]:
        waiting = [delivery for _, _, delivery in self._state.mail]
        return [*self._state.outbox.values(), *waiting]
