"""A system that is used for a long time: jobs without end, clients that come, follow and go; is memory flat?

Jobs and results are kept for a minute only, so that what has to go away does so within the run. What is
looked at is not how much memory there is but whether it grows with the jobs that have been done.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import random
import statistics
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import redis

from jobcast import Settings
from jobcast.celery import make_celery
from tests.chaos.wire import ConnectionLost, WebSocket
from tests.chaos.world import children_of
from tests.stack import Stack, http

#: Bytes that a job may leave behind, by the slope of each part's memory.
BOUND: Final = 1024
#: Seconds that jobs, results and subscriptions to them are kept; the least the settings allow.
RETENTION: Final = 60
#: Jobs begun per second, and clients that are connected at a time.
RATE: Final = 8.0
CLIENTS: Final = 20
#: Seconds between two samples, and minutes before they count: pools fill, caches reach their limits, and
#: the first jobs have gone away.
EVERY: Final = 1.0
WARM_UP: Final = 4.0
PARTS: Final = ("web", "worker", "Valkey")


@dataclass(slots=True)
class Sample:
    """``jobs`` sent so far, and bytes by part."""

    at: float
    jobs: int
    bytes: dict[str, float]
    keys: int
    subscriptions: int


@dataclass(slots=True)
class Soak:
    """What is going on."""

    stack: Stack
    port: int
    web: int
    worker: int
    until: float
    jobs: list[str] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    connections: int = 0
    #: Events that arrived, all clients together.
    arrivals: int = 0


def measure(minutes: float) -> dict[str, Any]:
    """Memory per job over a long run."""
    folder = Path(tempfile.mkdtemp(prefix="chaos-soak-"))
    limits = {
        "JOBCAST_RETENTION_SECONDS": str(RETENTION),
        "CHAOS_LOG": os.devnull,
        "PYTHONWARNINGS": "ignore",
        "CHAOS_COLLECT": "1",
    }
    stack = Stack(folder, SOCKETIO_DEBOUNCE_MS="100", JOBCAST_LEASE_MS="1000", **limits)
    try:
        stack.valkey.start()
        web, worker = stack.start_web(), stack.start_worker("tests.chaos.tasks", concurrency=4)
        soak = Soak(stack, stack.port, web.pid, worker.pid, time.monotonic() + 60 * minutes)
        asyncio.run(_run(soak))
    finally:
        stack.stop()
    return _result(soak, minutes)


async def _run(soak: Soak) -> None:
    work = [_send(soak), _sample(soak), _stay(soak), *(_come_and_go(soak) for _ in range(CLIENTS))]
    await asyncio.gather(*work)


async def _send(soak: Soak) -> None:
    settings = Settings(redis_url=soak.stack.valkey.url)
    with closing(make_celery(settings)) as producer:
        for n in itertools.count():
            if time.monotonic() > soak.until:
                return
            name = random.choice(["count"] * 8 + ["fail", "retry"])
            await asyncio.to_thread(
                producer.send_task, f"chaos.{name}", args=(10, 0.02), task_id=f"soak-{n}", retry=False
            )
            soak.jobs.append(f"soak-{n}")
            await asyncio.sleep(1 / RATE)


async def _come_and_go(soak: Soak) -> None:
    """One client after another: it follows some of the newest jobs for a few seconds."""
    while time.monotonic() < soak.until:
        try:
            await asyncio.wait_for(_follow(soak), random.uniform(1, 8))
        except (TimeoutError, OSError, EOFError, ConnectionLost):
            continue


async def _follow(soak: Soak) -> None:
    socket = await _connect(soak)
    try:
        for job_id in soak.jobs[-5:]:
            _subscribe(socket, job_id)
        async for text in socket.messages():
            soak.arrivals += "job:status-changed" in text
    finally:
        socket.abort()


async def _stay(soak: Soak) -> None:
    """A client that never leaves and never unsubscribes: each second it follows one more job."""
    socket = await _connect(soak)
    reading = asyncio.ensure_future(_count(soak, socket))
    while time.monotonic() < soak.until:
        if soak.jobs:
            _subscribe(socket, soak.jobs[-1])
        await asyncio.sleep(1)
    reading.cancel()
    socket.abort()


async def _count(soak: Soak, socket: WebSocket) -> None:
    async for text in socket.messages():
        soak.arrivals += "job:status-changed" in text


async def _connect(soak: Soak) -> WebSocket:
    socket = await WebSocket.connect(soak.port)
    soak.connections += 1
    socket.send("40/jobs,")
    return socket


def _subscribe(socket: WebSocket, job_id: str) -> None:
    socket.send(f"42/jobs,1{json.dumps(['subscribe-job', job_id])}")


async def _sample(soak: Soak) -> None:
    while time.monotonic() < soak.until:
        soak.samples.append(await asyncio.to_thread(_look, soak))
        await asyncio.sleep(EVERY)


def _look(soak: Soak) -> Sample:
    with redis.Redis(port=soak.stack.valkey.port, decode_responses=True) as client:
        memory: Any = client.info("memory")
        keys: Any = client.dbsize()
    worker = sum(resident(pid) for pid in [soak.worker, *children_of(soak.worker)])
    sizes = {"web": resident(soak.web), "worker": worker, "Valkey": float(memory["used_memory"])}
    lines = http("GET", f"http://127.0.0.1:{soak.port}/metrics").text.splitlines()
    followed = next(float(line.split()[1]) for line in lines if line.startswith("jobcast_subscriptions "))
    return Sample(time.monotonic(), len(soak.jobs), sizes, keys, int(followed))


def resident(pid: int) -> float:
    """Resident memory of a process in bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def slope(points: list[tuple[float, float]]) -> float:
    """Median of the slopes between points half a run apart: single steps do not count for a trend."""
    half = len(points) // 2
    pairs = zip(points[:half], points[half:], strict=False)
    return statistics.median((b[1] - a[1]) / (b[0] - a[0]) for a, b in pairs if b[0] > a[0])


def _result(soak: Soak, minutes: float) -> dict[str, Any]:
    begun = soak.samples[0].at + 60 * min(WARM_UP, minutes / 2)
    counted = [sample for sample in soak.samples if sample.at >= begun]
    slopes = {part: slope([(s.jobs, s.bytes[part]) for s in counted]) for part in PARTS}
    holds = max(slopes.values()) <= BOUND
    first, last = counted[0], counted[-1]
    rows = [
        f"| {part} | {soak.samples[0].bytes[part] / 1e6:.1f} MB | {first.bytes[part] / 1e6:.1f} MB "
        f"| {last.bytes[part] / 1e6:.1f} MB | {slopes[part]:+.0f} |"
        for part in PARTS
    ]
    verdict = "holds" if holds else "does not hold"
    text = (
        f"{minutes:g} minutes, {last.jobs} jobs, {soak.connections} connections, {soak.arrivals} events "
        f"that arrived; jobs are kept for {RETENTION} s. Keys in Valkey {first.keys} and {last.keys}, "
        f"subscriptions {first.subscriptions} and {last.subscriptions}, at the end of the warm-up and of the "
        f"run. Growth after the warm-up, in bytes per job (bound {BOUND}); {verdict}."
        "\n\n"
        "| part | at first | after the warm-up | at last | bytes per job |\n|---|---|---|---|---|\n"
        + "\n".join(rows)
    )
    samples = [(s.at, s.jobs, s.bytes, s.keys, s.subscriptions) for s in soak.samples]
    return {"text": text, "holds": holds, "slopes": slopes, "samples": samples}
