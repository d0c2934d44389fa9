"""One sample of one system: a fresh server, one load client, one emitter, and what they said."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

import redis

from bench.servers import ROOT, SERVER_CORE, Kind, Server, wait_for

#: Figures by name.
Sample = dict[str, float]

#: Seconds a server is left alone before its memory is read.
SETTLE: Final = 3.0
#: Seconds between two looks at the health of a server, and how long one may take.
PROBE_EVERY: Final = 0.05
PROBE_TIMEOUT: Final = 10.0
LISTENER_TIMEOUT: Final = 15.0


class MessagesMissing(RuntimeError):
    """Raised when not everything arrived exactly once and in order; says how much did not."""


@dataclass(frozen=True)
class Entrant:
    """A server and how it is spoken to; ``envelope`` is an option of ``bench.publish``."""

    name: str
    server: str
    envelope: str = ""


@dataclass(frozen=True)
class Site:
    """Where measurements take place: a Redis, the servers, a folder for logs."""

    redis_url: str
    kinds: Mapping[str, Kind]
    folder: Path

    def server(self, name: str) -> Server:
        """A server that is not started yet, on an empty Redis."""
        with redis.Redis.from_url(self.redis_url) as client:
            client.flushall()
        return Server(self.kinds[name], self.redis_url, self.folder / f"{name}.log")


@dataclass(frozen=True)
class Delivery:
    """``count`` messages round robin over ``rooms``; ``rate`` per second, 0 as fast as possible."""

    clients: int
    rooms: int
    count: int
    rate: float = 0
    batch: int = 64

    def sample(self, site: Site, entrant: Entrant) -> Sample:
        """How fast and how late the messages arrived; raise MessagesMissing."""
        with site.server(entrant.server) as server, self._emitter(site, entrant) as emitter:
            with _load(
                server, "--clients", self.clients, "--rooms", self.rooms, "--count", self.count
            ) as load:
                load.line()
                _wait_for_listener(site.redis_url)
                before, cpu = _redis_figures(site.redis_url), server.cpu_seconds()
                emitter.go_on()
                published, arrived = emitter.line(), load.line()
                cpu = server.cpu_seconds() - cpu
            redis_took = _redis_figures(site.redis_url)
        _check(arrived)
        return {
            **{
                name: arrived[name]
                for name in ("rate", "first_ms", "p50_ms", "p99_ms", "seconds", "received")
            },
            "per_cpu_second": round(arrived["received"] / cpu, 1),
            "server_cpu_seconds": round(cpu, 3),
            "load_share": round(arrived["cpu_seconds"] / arrived["seconds"], 3),
            "publish_rate": published["rate"],
            "redis_us_per_message": round((redis_took["cpu"] - before["cpu"]) / self.count * 1e6, 2),
            "redis_bytes_out_per_message": round((redis_took["out"] - before["out"]) / self.count, 1),
        }

    @contextmanager
    def _emitter(self, site: Site, entrant: Entrant) -> Iterator[Helper]:
        plan = ("--rooms", self.rooms, "--count", self.count, "--rate", self.rate, "--batch", self.batch)
        options = ("--redis", site.redis_url, "--wait", *plan)
        with _helper("bench.publish", *options, *([entrant.envelope] if entrant.envelope else [])) as emitter:
            emitter.ready()
            yield emitter


@dataclass(frozen=True)
class Elsewhere:
    """What a message costs a server whose clients do not follow its room."""

    count: int

    def sample(self, site: Site, entrant: Entrant) -> Sample:
        with site.server(entrant.server) as server, _load(server, "--clients", 1, "--idle") as load:
            load.line()
            load.go_on()
            load.line()
            _wait_for_listener(site.redis_url)
            cpu = server.cpu_seconds()
            options = ("--redis", site.redis_url, "--rooms", 500, "--count", self.count)
            envelope = [entrant.envelope] if entrant.envelope else []
            with _helper("bench.publish", *options, *envelope) as emitter:
                emitter.line()
            _wait_until_calm(server)
            return {"us_per_message": round((server.cpu_seconds() - cpu) / self.count * 1e6, 2)}


@dataclass(frozen=True)
class Memory:
    """Bytes of a server's own memory per client that offers deflate and says nothing."""

    clients: int

    def sample(self, site: Site, entrant: Entrant) -> Sample:
        options = ("--clients", self.clients, "--rooms", self.clients, "--idle", "--deflate")
        with site.server(entrant.server) as server:
            time.sleep(SETTLE)
            empty = server.memory()
            with _load(server, *options, "--timeout", 300) as load:
                connected = load.line()
                time.sleep(SETTLE)
                idle = server.memory()
                load.go_on()
                load.line()
                time.sleep(SETTLE)
                subscribed = server.memory()
        return {
            "bytes_per_client": round((idle - empty) / self.clients, 1),
            "bytes_per_subscriber": round((subscribed - empty) / self.clients, 1),
            "empty_bytes": empty,
            "connected_per_second": connected["connected_per_second"],
        }


@dataclass(frozen=True)
class Connecting:
    """Connections until the namespace has answered, ``at_once`` at a time, and health meanwhile."""

    clients: int
    at_once: int
    probed: bool = False

    def sample(self, site: Site, entrant: Entrant) -> Sample:
        options = ("--clients", self.clients, "--at-once", self.at_once, "--idle", "--deflate")
        with site.server(entrant.server) as server, Probe(f"{server.url}/healthz", self.probed) as probe:
            cpu = server.cpu_seconds()
            with _load(server, *options, "--timeout", 300) as load:
                connected = load.line()
            cpu = server.cpu_seconds() - cpu
        return {
            "rate": connected["connected_per_second"],
            "server_cpu_ms_per_client": round(cpu / self.clients * 1e3, 4),
            **probe.figures(),
        }


@dataclass(frozen=True)
class Reports:
    """Nanoseconds of one report; the entrants are the names that ``bench.reports`` knows."""

    seconds: float = 1.0

    def sample(self, site: Site, entrant: Entrant) -> Sample:
        with redis.Redis.from_url(site.redis_url) as client:
            client.flushall()
        options = ("--redis", site.redis_url, "--seconds", self.seconds, "--core", SERVER_CORE)
        with _helper("bench.reports", entrant.envelope, *options) as helper:
            return {"ns": helper.line()["ns"]}


@dataclass
class Probe:
    """Asks for the health of a server every few milliseconds, on a connection of its own each time."""

    url: str
    wanted: bool
    taken: list[float] = field(default_factory=list)

    def __enter__(self) -> Probe:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._ask_on, daemon=True)
        if self.wanted:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self.wanted:
            self._thread.join()

    def figures(self) -> Sample:
        """Milliseconds: the longest answer, and how many there were."""
        if not self.taken:
            return {}
        return {"health_max_ms": round(max(self.taken) * 1e3, 2), "health_answers": len(self.taken)}

    def _ask_on(self) -> None:
        while not self._stop.wait(PROBE_EVERY):
            started = time.perf_counter()
            _ask(self.url)
            self.taken.append(time.perf_counter() - started)


def _ask(url: str) -> None:
    """Wait for any answer; one that does not come counts as the whole time-out."""
    try:
        urllib.request.urlopen(url, timeout=PROBE_TIMEOUT).close()
    except urllib.error.HTTPError as answer:
        answer.close()
    except OSError:
        time.sleep(PROBE_TIMEOUT)


class Helper:
    """A process that prints lines of JSON and goes on when it is told to."""

    def __init__(self, process: subprocess.Popen[str], output: IO[str], tell: IO[str]) -> None:
        self._process = process
        self._output = output
        self._tell = tell

    def line(self) -> dict[str, Any]:
        """The next line; raise RuntimeError when the process ended instead."""
        text = self._output.readline()
        if not text:
            raise RuntimeError(f"{self._process.args!r} ended with {self._process.wait()}")
        found: dict[str, Any] = json.loads(text)
        return found

    def ready(self) -> None:
        self._output.readline()

    def go_on(self) -> None:
        self._tell.write("\n")
        self._tell.flush()


@contextmanager
def _helper(module: str, *options: object) -> Iterator[Helper]:
    command = [sys.executable, "-m", module, *map(str, options)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True) as process:
        if process.stdout is None or process.stdin is None:
            raise RuntimeError("no pipes")
        try:
            yield Helper(process, process.stdout, process.stdin)
        finally:
            process.kill()


@contextmanager
def _load(server: Server, *options: object) -> Iterator[Helper]:
    with _helper("bench.load", "--url", server.url, *options) as load:
        yield load


def _wait_for_listener(url: str) -> None:
    """Some servers listen to Redis only when they have a client."""
    with redis.Redis.from_url(url) as client:

        def listens() -> bool:
            counts: list[Any] = client.pubsub_numsub("flask-socketio")
            return bool(counts[0][1] or client.pubsub_numpat())

        wait_for(listens, LISTENER_TIMEOUT, "somebody to listen to Redis")


def _wait_until_calm(server: Server) -> None:
    """Return when the server has hardly worked for a while."""
    used, before = server.cpu_seconds(), -1.0
    while used - before > 0.02:
        time.sleep(0.5)
        before, used = used, server.cpu_seconds()


def _redis_figures(url: str) -> Sample:
    with redis.Redis.from_url(url) as client:
        info: dict[str, Any] = client.info()
        return {
            "cpu": info["used_cpu_user"] + info["used_cpu_sys"],
            "out": info["total_net_output_bytes"],
        }


def _check(arrived: Mapping[str, Any]) -> None:
    """Raise MessagesMissing unless everything arrived once and in order."""
    kinds = {"lost": "lost", "duplicates": "doubled", "regressions": "out of order"}
    wrong = [f"{arrived[name]:,} {text}" for name, text in kinds.items() if arrived[name]]
    if wrong:
        raise MessagesMissing(f"{', '.join(wrong)} of {arrived['expected']:,}")
