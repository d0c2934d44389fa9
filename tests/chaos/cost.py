"""What reporting costs a task while Redis is up, refuses connections, or hangs.

The same loop, which reports with every turn, is timed in turn without a reporter and against three
servers; the order within each round is shuffled, so that whatever else the machine does hits all alike.
"""

from __future__ import annotations

import logging
import os
import random
import signal
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from jobcast.embedded import EmbeddedValkey, free_port
from jobcast.ledger import RedisLedger
from jobcast.progress import Progress
from jobcast.reporter import Reporter

#: Largest share by which a task may take longer while Redis is away.
BOUND: Final = 1.02
ROUNDS: Final = 10
#: Seconds that one run takes, about, so that time-outs and back-off are in it; and between two reports.
RUN: Final = 2.0
INTERVAL: Final = 0.1
UP, REFUSED, HUNG, NONE = "up", "refused", "hung", "no reporter"


def measure(rounds: int = ROUNDS) -> dict[str, Any]:
    """Task run time with Redis down against up, paired runs."""
    logging.getLogger("jobcast").setLevel(logging.CRITICAL)
    scheduler = _turns_in(RUN)
    seconds: dict[str, list[float]] = {UP: [], REFUSED: [], HUNG: [], NONE: []}
    with _servers() as urls:
        for _ in range(rounds):
            for state in random.sample(list(seconds), len(seconds)):
                seconds[state].append(_run(urls.get(state), scheduler))
    logging.getLogger("jobcast").setLevel(logging.NOTSET)
    return _result(seconds)


@contextmanager
def _servers() -> Iterator[dict[str, str]]:
    """One that works, one that was stopped, and a port nobody listens on."""
    with EmbeddedValkey() as working, EmbeddedValkey() as hung:
        os.kill(hung.pid, signal.SIGSTOP)
        try:
            yield {UP: working.url, HUNG: hung.url, REFUSED: f"redis://127.0.0.1:{free_port()}/0"}
        finally:
            os.kill(hung.pid, signal.SIGCONT)


def _run(url: str | None, scheduler: int) -> float:
    if url is None:
        return _work(Progress("alone"), scheduler)
    reporter = Reporter(RedisLedger.from_url(url), interval=INTERVAL, lease=1.0)
    job_id = f"cost-{random.getrandbits(64):x}"
    took = _work(reporter.start_job(job_id), scheduler)
    reporter.end_job(job_id, "completed")
    reporter.close(0.2)
    return took


def _work(progress: Progress, scheduler: int) -> float:
    """A loop that does a little and reports each time; its seconds."""
    begun = time.perf_counter()
    progress.update(total=scheduler)
    for turn in range(scheduler):
        sum(range(turn % 40))
        progress.advance()
    return time.perf_counter() - begun


def _turns_in(seconds: float) -> int:
    trial = 20_000
    _work(Progress("trial"), trial)
    return int(trial * seconds / _work(Progress("trial"), trial))


def _result(seconds: dict[str, list[float]]) -> dict[str, Any]:
    medians = {state: statistics.median(values) for state, values in seconds.items()}
    ratios = {state: _paired(seconds[state], seconds[UP]) for state in (REFUSED, HUNG, NONE)}
    holds = max(ratios[REFUSED], ratios[HUNG]) <= BOUND
    words = ", ".join(f"{state} {1000 * median:.1f} ms" for state, median in medians.items())
    text = (
        f"Task run time, medians of {len(seconds[UP])} paired runs: {words}. Against up, by pairs: "
        f"refused {ratios[REFUSED]:.3f}, hung {ratios[HUNG]:.3f} (bound {BOUND}), "
        f"no reporter {ratios[NONE]:.3f}; {'holds' if holds else 'does not hold'}."
    )
    return {"text": text, "holds": holds, "medians": medians, "ratios": ratios, "seconds": seconds}


def _paired(down: list[float], up: list[float]) -> float:
    return statistics.median(a / b for a, b in zip(down, up, strict=True))
