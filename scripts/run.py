"""Start everything on this machine: Valkey if there is no ``REDIS_URL``, then the Procfile's processes.

Web and worker run under honcho; Valkey is started before and stopped after them, so that the last reports
still find it.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import socket
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import honcho.manager
import honcho.process
import redis

from jobcast.embedded import EmbeddedValkey, free_port
from jobcast.errors import InvalidSetting, JobcastError
from jobcast.ledger.connection import connect
from scripts.parent_death import die_with_parent, dying_with_parent
from tasks.settings import WorkSettings
from web.settings import WebSettings

ROOT: Final = Path(__file__).resolve().parent.parent
VAR: Final = ROOT / "var"
#: Seconds until the system should be up, and until what does not stop is killed.
READY_TIMEOUT: Final = 30
STOP_TIMEOUT: Final = 9
#: Seconds between two tries to stop what is only just starting.
START_GRACE: Final = 0.1
#: Bytes that must fit on the disk.
ROOM: Final = 1 << 20


class AllSettings(WebSettings, WorkSettings):
    """What the processes started here read."""


class CannotWrite(JobcastError):
    """Raised when the working directory is read-only, somebody else's, or full."""


class Process(honcho.process.Process):  # type: ignore[misc]  # honcho has no types
    """Ends with the script even if that is killed; its command then gets SIGTERM."""

    def run(self, *arguments: Any, **options: Any) -> None:
        die_with_parent(signal.SIGKILL)
        super().run(*arguments, **options)


class Manager(honcho.manager.Manager):  # type: ignore[misc]
    """honcho's, but a signal may come at any time, and what hangs is killed in any case."""

    def __init__(self) -> None:
        super().__init__()
        self._process_ctor = Process
        self._procmgr = OneByOne()

    def terminate(self) -> None:
        if self._terminating:
            return
        if self._all_started():
            super().terminate()
            _later(STOP_TIMEOUT, self.kill)
        else:
            _later(START_GRACE, self.terminate)


class OneByOne:
    """Signals the process itself, not its group: a Celery parent stops its own children in order."""

    def terminate(self, pid: int) -> None:
        _signal(os.kill, pid, signal.SIGTERM)

    def kill(self, pid: int) -> None:
        _signal(os.killpg, pid, signal.SIGKILL)


def main() -> int:
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, _leave)  # until the manager takes over
    try:
        return start(_with_port(AllSettings.from_environment()))
    except JobcastError as error:
        print(f"jobcast: {error}", file=sys.stderr)
        return 1


def start(settings: AllSettings) -> int:
    """Check what can be checked beforehand, then run; raises JobcastError."""
    check_port(settings)
    check_disk(VAR)
    if not settings.redis_url:
        return run_with_valkey(settings)
    check_redis(settings.store_url)
    return run(settings, settings.redis_url)


def check_port(settings: AllSettings) -> None:
    """Raise InvalidSetting when somebody else listens there."""
    family = socket.AF_INET6 if ":" in settings.bind_host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.bind_host, settings.port))
        except OSError as error:
            reason = f"{settings.port} cannot be used ({error.strerror}); set PORT to another one"
            raise InvalidSetting("PORT", reason) from error


def check_disk(folder: Path) -> None:
    """Raise CannotWrite when nothing can be stored there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(bytes(ROOM))
    except OSError as error:
        raise CannotWrite(f"{folder} cannot be written to ({error.strerror})") from error


def check_redis(url: str) -> None:
    """Raise InvalidSetting when nobody answers there."""
    try:
        with closing(connect(url)) as client:
            client.ping()
    except (redis.exceptions.RedisError, ValueError, OSError) as error:
        raise InvalidSetting("REDIS_URL", f"no Redis answers there ({error})") from error


def run_with_valkey(settings: AllSettings) -> int:
    """Start the embedded server around everything else."""
    with EmbeddedValkey(log=VAR / "valkey.log", launcher=dying_with_parent(os.getpid())) as valkey:
        print(f"jobcast: embedded Valkey on {valkey.url}", flush=True)
        return run(settings, valkey.url)


def run(settings: AllSettings, redis_url: str) -> int:
    """Run the Procfile's processes until one of them ends or a signal comes."""
    honcho.manager.KILL_WAIT = STOP_TIMEOUT  # a worker's warm shutdown may take more than 5 seconds
    manager = Manager()
    environment = environment_of(settings, redis_url)
    for name, command in procfile().items():
        manager.add_process(name, command, env=environment, cwd=str(ROOT))
    threading.Thread(target=announce, args=(settings,), daemon=True).start()
    manager.loop()
    return 0 if manager.returncode in (130, 143) else int(manager.returncode or 1)


def environment_of(settings: AllSettings, redis_url: str) -> dict[str, str]:
    """What the processes see: this Python first on PATH, and where Redis is."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    ours = {"PATH": path, "PORT": str(settings.port), "REDIS_URL": redis_url, "PYTHONUNBUFFERED": "1"}
    return os.environ | ours


def procfile() -> dict[str, str]:
    """Process names and commands, each dying with the shell's parent, without a shell in between."""
    lines = (ROOT / "Procfile").read_text().splitlines()
    pairs = (line.split(":", 1) for line in lines if ":" in line and not line.startswith("#"))
    launcher = shlex.join(dying_with_parent("PPID")).removesuffix("PPID") + "$PPID"
    return {name.strip(): f"exec {launcher} {command.strip()}" for name, command in pairs}


def announce(settings: AllSettings) -> None:
    """Say where to look as soon as there is something to see."""
    base = address_of(settings)
    deadline = time.monotonic() + READY_TIMEOUT
    answer = "nothing answers"
    while time.monotonic() < deadline:
        answer = ask(f"{base}/readyz")
        if answer == "ready":
            print(f"\njobcast: running, open {base}  (Ctrl-C stops everything)\n", flush=True)
            return
        time.sleep(0.2)
    print(f"jobcast: not ready after {READY_TIMEOUT} s: {answer}", file=sys.stderr, flush=True)


def address_of(settings: AllSettings) -> str:
    """Where a browser on this machine finds what listens on ``HOST`` and ``PORT``."""
    host = settings.bind_host
    if ":" in host:
        return f"http://[{'::1' if host == '::' else host}]:{settings.port}"
    return f"http://{'127.0.0.1' if settings.binds_loopback else host}:{settings.port}"


def ask(url: str) -> str:
    """``ready``, or what stands in the way."""
    try:
        with urllib.request.urlopen(url, timeout=2):  # noqa: S310  # our own address
            return "ready"
    except urllib.error.HTTPError as error:
        with error:
            return error.read().decode(errors="replace")
    except OSError as error:
        return str(error)


def _with_port(settings: AllSettings) -> AllSettings:
    """``PORT=0`` asks for any free one."""
    return settings.model_copy(update={"port": settings.port or free_port()})


def _leave(signum: int, frame: Any) -> None:
    raise SystemExit(0)


def _later(seconds: float, action: Callable[[], None]) -> None:
    timer = threading.Timer(seconds, action)
    timer.daemon = True
    timer.start()


def _signal(send: Any, pid: int, signum: int) -> None:
    with contextlib.suppress(ProcessLookupError):  # it has ended by itself
        send(pid, signum)


if __name__ == "__main__":
    sys.exit(main())
