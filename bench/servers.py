"""The systems under test as processes of their own, each fresh and alone on the first core."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final

from jobcast.embedded import free_port
from scripts import node

ROOT: Final = Path(__file__).resolve().parent.parent
NODE_FOLDER: Final = ROOT / "bench" / "node"
#: Seconds a server may take to start and to stop.
START_TIMEOUT: Final = 30.0
STOP_TIMEOUT: Final = 3.0

SERVER_CORE: Final = min(os.sched_getaffinity(0))


@dataclass(frozen=True)
class Kind:
    """How a server is started, where, and the path that says 200 when it is ready."""

    command: tuple[str, ...]
    folder: Path
    ready: str = "/"
    environment: Mapping[str, str] = field(default_factory=dict)


def kinds(tree: Path) -> dict[str, Kind]:
    """All servers by name; ``tree`` is the checkout whose ``web`` is measured."""
    web = (sys.executable, "-m", "web")
    stock = (sys.executable, "-m", "bench.stock")
    return {
        "jobcast": Kind(web, tree, "/readyz"),
        "jobcast-topics": Kind(web, tree, "/readyz", {"JOBCAST_CHANNELS": "topic"}),
        "node": Kind(tuple(node.command("node", "server.js")), NODE_FOLDER),
        "eventlet": Kind((*stock, "eventlet"), ROOT, "/healthz"),
        "gevent": Kind((*stock, "gevent"), ROOT, "/healthz"),
        "threading": Kind((*stock, "threading"), ROOT, "/healthz"),
        "limit": Kind((sys.executable, "-m", "bench.limit"), ROOT, ""),
    }


class Server:
    """A running server; as a context manager it is ready on entry and gone on exit."""

    def __init__(self, kind: Kind, redis_url: str, log: Path) -> None:
        self.port = free_port()
        self._kind = kind
        self._log = log
        environment = {"REDIS_URL": redis_url, "PORT": str(self.port), "HOST": "127.0.0.1"}
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        environment |= {"PYTHONPATH": str(kind.folder), "NODE_ENV": "production"}
        self._environment = kept | environment | dict(kind.environment)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        return self._process.pid

    def __enter__(self) -> Server:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._kind.command, cwd=self._kind.folder, env=self._environment, stdout=log, stderr=log
            )
        os.sched_setaffinity(self.pid, {SERVER_CORE})
        try:
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End it; not gently, for nobody waits for its clients."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(STOP_TIMEOUT)

    def cpu_seconds(self) -> float:
        """Processor time its threads used so far."""
        return sum(_thread_seconds(thread) for thread in Path(f"/proc/{self.pid}/task").iterdir())

    def memory(self) -> int:
        """Its own memory in bytes: the proportional set size."""
        rollup = Path(f"/proc/{self.pid}/smaps_rollup").read_text()
        line = next(line for line in rollup.splitlines() if line.startswith("Pss:"))
        return int(line.split()[1]) * 1024

    def _wait_until_ready(self) -> None:
        wait_for(self._is_ready, START_TIMEOUT, f"{self._kind.command[-1]} to be ready")

    def _is_ready(self) -> bool:
        if self._process.poll() is not None:
            raise RuntimeError(f"a server ended: {self._log.read_text()[-2000:]}")
        try:
            return self._answers()
        except OSError:
            return False

    def _answers(self) -> bool:
        if not self._kind.ready:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        with urllib.request.urlopen(self.url + self._kind.ready, timeout=2) as response:
            return bool(response.status == 200)


def _thread_seconds(thread: Path) -> float:
    """In nanoseconds where ``stat`` would count in hundredths of a second; 0 for one that just ended."""
    try:
        return int((thread / "schedstat").read_text().split()[0]) / 1e9
    except (FileNotFoundError, ProcessLookupError):
        return 0.0


def wait_for(condition: Callable[[], bool], timeout: float, what: str) -> None:
    """Return when the condition holds; raise TimeoutError when it does not in time."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {timeout} s for {what}")
        time.sleep(0.02)


def pin_this_process() -> None:
    """Leave the first core to the servers; what this process starts stays off it too."""
    others = os.sched_getaffinity(0) - {SERVER_CORE}
    if others:
        os.sched_setaffinity(0, others)
