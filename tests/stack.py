"""The whole system as real processes: an embedded Valkey, web processes and a prefork worker."""

from __future__ import annotations

import functools
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import Any, TypeVar

from jobcast.embedded import EmbeddedValkey, free_port
from jobcast.ledger import RedisLedger

ROOT = Path(__file__).resolve().parent.parent
Value = TypeVar("Value")


def wait_for(condition: Callable[[], Value], timeout: float = 15.0, what: str = "") -> Value:
    """Return the condition's first true value; fail when time runs out."""
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout} s for {what or condition}")
        time.sleep(0.02)
    return value


@dataclass
class Answer:
    """An HTTP answer."""

    status: int
    headers: Message
    text: str

    def json(self) -> Any:
        return json.loads(self.text)


def http(
    method: str, url: str, body: Any = None, headers: dict[str, str] | None = None, timeout: float = 10
) -> Answer:
    """One request; a status of 400 and above is an answer too."""
    data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    kind = {"Content-Type": "application/json"} if body is not None else {}
    request = urllib.request.Request(url, data, kind | (headers or {}), method=method)
    try:
        with urllib.request.urlopen(request, timeout=timeout) as response:
            return Answer(response.status, response.headers, response.read().decode())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, error.headers, error.read().decode())


class Stack:
    """As a context manager it starts everything; its logs are in ``folder``."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder = folder
        self.root = ROOT  # where everything is started
        self.valkey = EmbeddedValkey(log=folder / "valkey.log")
        self.port = free_port()
        self.environment = {
            **os.environ,
            "REDIS_URL": self.valkey.url,
            "PORT": str(self.port),
            "DATABASE_URL": f"sqlite:///{folder / 'jobcast.db'}",
            "JOBCAST_MEDIA_ROOT": str(folder / "media"),
            "JOBCAST_LOCAL_DELAY_MS": "5",
            "PYTHONPATH": str(ROOT),
            **environment,
        }
        self.processes: list[subprocess.Popen[bytes]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @functools.cached_property
    def ledger(self) -> RedisLedger:
        return RedisLedger.from_url(self.valkey.url)

    def __enter__(self) -> Stack:
        try:
            self.valkey.start()
            self.start_web()
            self.start_worker()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start_web(
        self,
        port: int | None = None,
        command: list[str] | None = None,
        *,
        ready: str = "/readyz",
        **environment: str,
    ) -> subprocess.Popen[bytes]:
        """A web process that is ready, which ``ready`` tells; on a port of its own if one is given."""
        port = port or self.port
        command = command or [sys.executable, "-m", "web"]
        process = self._start(command, "web", {"PORT": str(port), **environment})
        asked = f"http://127.0.0.1:{port}{ready}"
        wait_for(lambda: self._alive(process) and self._is_ready(asked), 30, "a ready web process")
        return process

    def start_worker(
        self,
        app: str = "tests.worker",
        *,
        concurrency: int = 2,
        pool: str = "prefork",
        queues: str = "celery",
        python: Path | str = sys.executable,
        **environment: str,
    ) -> subprocess.Popen[bytes]:
        """A worker that takes tasks."""
        celery = [str(python), "-m", "celery", "-A", app, "worker"]
        options = ["--concurrency", str(concurrency), "--loglevel", "info", "-n", f"w{free_port()}@%h"]
        options += ["--pool", pool, "--queues", queues]
        log = self.folder / f"worker{len(self.processes)}.log"
        process = self._start([*celery, *options], log.stem, environment)
        wait_for(lambda: self._alive(process) and " ready." in log.read_text(), 30, "a ready worker")
        return process

    def stop(self) -> None:
        """Terminate everything, the store last."""
        for process in reversed(self.processes):
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.terminate()
        for process in reversed(self.processes):
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.processes.clear()
        self.ledger.close()
        self.valkey.stop()

    def logs(self) -> str:
        """What web and worker have written so far."""
        return "\n".join(path.read_text() for path in sorted(self.folder.glob("w*.log")))

    def get(self, path: str, **headers: str) -> Answer:
        return http("GET", self.url + path, headers=headers)

    def post(self, path: str, body: Any = None, **headers: str) -> Answer:
        return http("POST", self.url + path, body, headers)

    def _start(self, command: list[str], name: str, environment: dict[str, str]) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                command, cwd=self.root, env={**self.environment, **environment}, stdout=log, stderr=log
            )
        self.processes.append(process)
        return process

    def _alive(self, process: subprocess.Popen[bytes]) -> bool:
        if process.poll() is not None:
            raise AssertionError(f"a process ended with {process.returncode}:\n{self.logs()[-3000:]}")
        return True

    def _is_ready(self, url: str) -> bool:
        try:
            return http("GET", url, timeout=2).status == 200
        except OSError:
            return False
