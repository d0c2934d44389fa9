"""A hundred clients of a thousand stop reading: what it costs the web process, and the others.

Fifty jobs report once a second with large details. All follow two jobs, those that will stop follow ten,
so that their kernel buffers fill. The same run without the stop is the measure.
"""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, Final

from jobcast.progress import Progress
from jobcast.reporter import Reporter
from tests.chaos.truth import Tail
from tests.chaos.world import end
from tests.stack import Stack, wait_for

#: Largest growth of the web process, in MB, and of the others' p99.
GROWTH_BOUND: Final = 30.0
LATENCY_BOUND: Final = 1.5
READERS: Final = 900
STOPPED: Final = 100
JOBS: Final = 50
#: Bytes of details in each report, and of receive buffer at those that stop.
DETAILS: Final = 12_000
BUFFER: Final = 4096
SECONDS: Final = 30.0
#: Seconds before anything is counted.
WARM_UP: Final = 4.0


def measure(seconds: float = SECONDS) -> dict[str, Any]:
    """100 stopped clients among 1,000 while 50 jobs report."""
    reading = _run(stop=False, seconds=seconds)
    stopped = _run(stop=True, seconds=seconds)
    ratio = stopped["p99"] / reading["p99"]
    holds = stopped["growth"] < GROWTH_BOUND and ratio <= LATENCY_BOUND
    text = (
        f"{STOPPED} stopped clients among {READERS + STOPPED}, {JOBS} jobs, {seconds:.0f} s: web memory "
        f"{stopped['before']:.0f} MB + {stopped['growth']:.1f} MB (with all reading + "
        f"{reading['growth']:.1f} MB; bound {GROWTH_BOUND:.0f}); the others' latency p50 "
        f"{stopped['p50']:.0f} ms, p99 {stopped['p99']:.0f} ms, over {stopped['count']} arrivals (with all "
        f"reading p50 {reading['p50']:.0f} ms, p99 {reading['p99']:.0f} ms over {reading['count']}; ratio "
        f"{ratio:.2f}, bound {LATENCY_BOUND}); {'holds' if holds else 'does not hold'}."
    )
    return {"text": text, "holds": holds, "reading": reading, "stopped": stopped, "ratio": ratio}


def _run(*, stop: bool, seconds: float) -> dict[str, Any]:
    stack = Stack(Path(tempfile.mkdtemp(prefix="chaos-slow-")), SOCKETIO_DEBOUNCE_MS="1000")
    clients: list[subprocess.Popen[bytes]] = []
    try:
        stack.valkey.start()
        web = stack.start_web()
        readers = _start(stack, clients, "reader", READERS, followed=2, buffer=0)
        _start(stack, clients, "stopper", STOPPED, followed=10, buffer=BUFFER)
        return _watch(stack, web.pid, clients[-1].pid if stop else 0, readers, seconds)
    finally:
        for client in clients:
            end(client)
        stack.stop()


def _start(
    stack: Stack,
    clients: list[subprocess.Popen[bytes]],
    name: str,
    count: int,
    *,
    followed: int,
    buffer: int,
) -> Tail:
    """A process of clients, each of which has been answered for every job it follows."""
    plan, record = stack.folder / f"{name}.json", Tail(stack.folder / f"{name}.jsonl")
    connections = [
        {
            "name": f"{name}{i}",
            "port": stack.port,
            "jobs": [(f"slow-{(i * followed + j) % JOBS}", 0.0) for j in range(followed)],
            "receiveBuffer": buffer,
        }
        for i in range(count)
    ]
    plan.write_text(json.dumps({"latency": True, "connections": connections}))
    command = [sys.executable, "-m", "tests.chaos.client", str(plan), str(record.path)]
    clients.append(stack._start(command, f"client-{name}", {}))
    expected = count * followed
    wait_for(lambda: sum(line[0] == "answer" for line in record.lines()) >= expected, 60, f"{name}s")
    return record


def _watch(stack: Stack, web: int, to_stop: int, readers: Tail, seconds: float) -> dict[str, Any]:
    over = threading.Event()
    reports = threading.Thread(target=_report, args=(stack, over))
    reports.start()
    try:
        time.sleep(WARM_UP)
        begun, before = time.monotonic(), _resident(web)
        if to_stop:
            os.kill(to_stop, signal.SIGSTOP)
        time.sleep(seconds)
        after = _resident(web)
    finally:
        over.set()
        reports.join()
    late = [line[2] for line in readers.lines() if line[0] == "late" and line[1] >= begun]
    p99 = statistics.quantiles(late, n=100)[98]
    return {
        "before": before,
        "growth": after - before,
        "p50": statistics.median(late),
        "p99": p99,
        "count": len(late),
    }


def _report(stack: Stack, over: threading.Event) -> None:
    """Every job moves all the time; a report carries details that fill a buffer sooner."""
    reporter = Reporter(stack.ledger, interval=1.0, lease=5.0)
    jobs: list[Progress] = []
    while not over.wait(0.02):
        if len(jobs) < JOBS:
            jobs.append(reporter.start_job(f"slow-{len(jobs)}"))
            jobs[-1].update(total=1_000_000, details={"padding": "x" * DETAILS})
        for job in jobs:
            job.advance()
    reporter.close()


def _resident(pid: int) -> float:
    """Resident memory of a process in MB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
