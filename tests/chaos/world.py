"""Everything a chaos run needs, as real processes, and how to reach each part of it from outside.

Two stores: the broker's and the ledger's, so that a ledger that comes back empty has not eaten the queue
of tasks as well. Two web processes, each behind a proxy; two workers; two processes of clients.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import redis

from jobcast import Settings
from jobcast.celery import make_celery
from jobcast.embedded import EmbeddedValkey, free_port
from tests.chaos.proxy import Network, Proxy
from tests.chaos.truth import Line, Tail
from tests.stack import Stack, wait_for

DEBOUNCE_MS: Final = 100
LEASE_MS: Final = 1000
WORKER: Final = "tests.chaos.tasks"
#: Connections per half of the jobs' groups; each group is followed through both web processes.
GROUPS: Final = 10


class World(Stack):
    """A stack with two of everything; a context manager like its base."""

    def __init__(self, folder: Path, *, workers: int = 2, concurrency: int = 6) -> None:
        self.truth = Tail(folder / "truth.jsonl")
        super().__init__(
            folder,
            SOCKETIO_DEBOUNCE_MS=str(DEBOUNCE_MS),
            JOBCAST_LEASE_MS=str(LEASE_MS),
            CHAOS_LOG=str(self.truth.path),
            PYTHONWARNINGS="ignore",
        )
        self.data = folder / "store"
        self.valkey = EmbeddedValkey(log=folder / "valkey.log", data_dir=self.data)
        self.broker = EmbeddedValkey(log=folder / "broker.log", data_dir=folder / "broker")
        self.environment |= {"REDIS_URL": self.valkey.url, "CELERY_BROKER_URL": self.broker.url}
        self.ports = [free_port(), free_port()]
        self.webs: list[subprocess.Popen[bytes]] = []
        self.workers: list[subprocess.Popen[bytes]] = []
        self.clients: list[subprocess.Popen[bytes]] = []
        #: Which jobs each connection follows.
        self.followed: dict[str, list[str]] = {}
        self.records = [Tail(folder / f"client{i}.jsonl") for i in (0, 1)]
        self._sizes = (workers, concurrency)
        self._network = Network()
        self.proxies: list[Proxy] = []

    def __enter__(self) -> World:
        try:
            self.valkey.start()
            self.broker.start()
            self.webs = [self.start_web(port) for port in self.ports]
            self.proxies = [self._network.proxy(port) for port in self.ports]
            self.workers = [self.new_worker() for _ in range(self._sizes[0])]
        except BaseException:
            self.stop()
            raise
        return self

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.ports[0]}"

    def new_worker(self) -> subprocess.Popen[bytes]:
        return self.start_worker(WORKER, concurrency=self._sizes[1])

    def start_clients(self, jobs: Mapping[str, float]) -> None:
        """Two client processes; every job is followed twice, once through each web process."""
        plans: list[list[dict[str, Any]]] = [[], []]
        names = list(jobs)
        for group in range(GROUPS):
            followed = [(name, jobs[name]) for name in names[group::GROUPS]]
            for web, proxy in enumerate(self.proxies):
                process = (group + web) % 2
                name = f"c{process}-w{web}-g{group}"
                plans[process].append({"name": name, "port": proxy.port, "jobs": followed})
                self.followed[name] = [job_id for job_id, _ in followed]
        for process, connections in enumerate(plans):
            path = self.folder / f"plan{process}.json"
            path.write_text(json.dumps({"connections": connections}))
            self.clients.append(self.new_client(process))

    def new_client(self, process: int) -> subprocess.Popen[bytes]:
        plan, record = self.folder / f"plan{process}.json", self.records[process].path
        command = [sys.executable, "-m", "tests.chaos.client", str(plan), str(record)]
        return self._start(command, f"client{process}", {})

    def send(self, jobs: Mapping[str, tuple[str, int, float]]) -> None:
        """Queue every job: id → (task, items, seconds per item)."""
        settings = Settings(redis_url=self.valkey.url, celery_broker_url=self.broker.url)
        with contextlib.closing(make_celery(settings)) as producer:
            for job_id, (task, n, pause) in jobs.items():
                producer.send_task(f"chaos.{task}", args=(n, pause), task_id=job_id)

    def lines(self) -> list[Line]:
        """What the clients have noted so far, in each process's order."""
        return [line for record in self.records for line in record.lines()]

    def command(self, *words: str) -> Any:
        """One command to the ledger's store, from outside."""
        with redis.Redis(port=self.valkey.port, socket_timeout=5) as client:
            return client.execute_command(*words)

    @contextlib.contextmanager
    def copy_of_store(self) -> Iterator[Path]:
        """What the ledger's store has written so far."""
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            yield Path(shutil.copytree(self.data, Path(folder) / "data"))

    def restart_store(self, *, pause: float, data: Path | None = None) -> None:
        """Kill the ledger's store and start it again on its port, with this data or none."""
        os.kill(self.valkey.pid, signal.SIGKILL)
        self.valkey.stop()
        time.sleep(pause)
        if data != self.data:
            shutil.rmtree(self.data)
        if data not in (None, self.data):
            shutil.copytree(data, self.data)
        self.valkey.start()

    def restart_web(self, number: int, pause: float) -> None:
        """Kill one web process and start it again on its port; returns when it is ready."""
        end(self.webs[number])
        time.sleep(pause)
        self.webs[number] = self.start_web(self.ports[number])

    def network(self, number: int, what: str) -> None:
        """``cut``, ``hang`` or ``mend`` the way to one web process."""
        self._network.call(getattr(self.proxies[number], what))

    def stop(self) -> None:
        for client in self.clients:
            end(client)
        super().stop()
        self.broker.stop()
        self._network.stop()


def end(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL, and wait until it is gone."""
    process.kill()
    process.wait()


def children_of(pid: int) -> list[int]:
    """The processes it has forked, as far as they live."""
    with contextlib.suppress(OSError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def wait_until_answered(world: World, number: int) -> None:
    """Until that many subscriptions have been answered."""

    def enough() -> bool:
        return sum(1 for line in world.lines() if line[0] == "answer" and line[5]) >= number

    wait_for(enough, 30, f"{number} subscriptions")
