"""``python -m bench.reports NAME``: what one report costs the one who makes it, in nanoseconds.

Every peer writes where it costs it least: bars go to the null device, states to a real Redis. Jobcast's
reporter runs beside the loop and stores what it picks up, as it does in a worker.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import celery
import celery_progress.backend
import rich.console
import rich.progress
import tqdm

from jobcast.ledger import RedisLedger
from jobcast.progress import Progress
from jobcast.reporter import Reporter

#: Reports between two looks at the clock, for those that do no I/O and for those that do.
MANY: Final = 200_000
FEW: Final = 200
#: Larger than any loop here, so that nothing is ever done.
TOTAL: Final = 1_000_000_000


def advance(url: str) -> Callable[[int], float]:
    progress = _job(url)
    progress.update(total=TOTAL)
    return _calls(progress.advance)


def tqdm_update(url: str) -> Callable[[int], float]:
    return _calls(tqdm.tqdm(total=TOTAL, file=_nowhere()).update)


def rich_advance(url: str) -> Callable[[int], float]:
    console = rich.console.Console(file=_nowhere(), force_terminal=True)
    progress = rich.progress.Progress(console=console, redirect_stdout=False, redirect_stderr=False)
    task = progress.add_task("count", total=TOTAL)
    progress.start()
    return _calls(lambda: progress.advance(task))


def update_state(url: str) -> Callable[[int], float]:
    task = _task(url)
    meta = {"current": 40, "total": 100, "percent": 40.0}
    return _calls(lambda: task.update_state(state="PROGRESS", meta=meta))


def set_progress(url: str) -> Callable[[int], float]:
    recorder = celery_progress.backend.ProgressRecorder(_task(url))
    return _calls(lambda: recorder.set_progress(40, 100))


def track(url: str) -> Callable[[int], float]:
    progress = _job(url)
    return _loop(progress.track)


def tqdm_loop(url: str) -> Callable[[int], float]:
    return _loop(lambda items: tqdm.tqdm(items, file=_nowhere()))


def rich_track(url: str) -> Callable[[int], float]:
    console = rich.console.Console(file=_nowhere(), force_terminal=True)
    return _loop(lambda items: rich.progress.track(items, console=console))


#: How each is set up, and how many reports it makes between two looks at the clock.
SUBJECTS: Final[dict[str, tuple[Callable[[str], Callable[[int], float]], int]]] = {
    "advance": (advance, MANY),
    "tqdm-update": (tqdm_update, MANY),
    "rich-advance": (rich_advance, MANY // 10),
    "update-state": (update_state, FEW),
    "set-progress": (set_progress, FEW),
    "track": (track, MANY * 10),
    "tqdm-loop": (tqdm_loop, MANY * 10),
    "rich-track": (rich_track, MANY * 10),
}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.reports", description=__doc__)
    parser.add_argument("name", choices=SUBJECTS)
    parser.add_argument("--redis", required=True)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--core", type=int)
    options = parser.parse_args(arguments)
    if options.core is not None:
        os.sched_setaffinity(0, {options.core})
    prepare, times = SUBJECTS[options.name]
    print(json.dumps({"ns": round(_cost(prepare(options.redis), times, options.seconds), 2)}), flush=True)
    os._exit(0)  # reporter and bars have nothing left to say


def _cost(run: Callable[[int], float], times: int, seconds: float) -> float:
    """Nanoseconds per report over about ``seconds``, less the loop around it."""
    run(max(1, times // 10))
    spent, reports = 0.0, 0
    while spent < seconds:
        spent += run(times)
        reports += times
    return (spent / reports - _empty_loop()) * 1e9


def _calls(report: Callable[[], Any]) -> Callable[[int], float]:
    def run(times: int) -> float:
        started = time.perf_counter()
        for _ in range(times):
            report()
        return time.perf_counter() - started

    return run


def _loop(wrap: Callable[[Iterable[int]], Iterable[int]]) -> Callable[[int], float]:
    def run(times: int) -> float:
        started = time.perf_counter()
        for _ in wrap(range(times)):
            pass
        return time.perf_counter() - started

    return run


def _empty_loop() -> float:
    """Seconds of a loop that does nothing, per round."""
    return min(_loop(iter)(MANY) for _ in range(5)) / MANY


def _job(url: str) -> Progress:
    """The progress of a job whose reporter runs as in a worker."""
    return Reporter(RedisLedger.from_url(url)).start_job("bench")


def _task(url: str) -> Any:
    """A task of a Celery app with a result backend, as if it were running."""
    app = celery.Celery("bench", broker=url, backend=url)

    @app.task(bind=True, name="bench")
    def task(self: Any) -> None:
        """Never runs."""

    task.push_request(id="bench")
    return task


def _nowhere() -> Any:
    return open(os.devnull, "w")


if __name__ == "__main__":
    main()
