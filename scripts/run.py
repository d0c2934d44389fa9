"""Start everything on this machine: Valkey if there is no ``REDIS_URL``, then the Procfile's processes.

Web and worker run under honcho; Valkey is started before and stopped after them, so that the last reports
still find it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Final

import honcho.manager
import redis

from jobcast.embedded import EmbeddedServerUnavailable, EmbeddedValkey
from jobcast.errors import InvalidSetting
from jobcast.settings import Settings

ROOT: Final = Path(__file__).resolve().parent.parent
#: Seconds until the system should be up, and until what does not stop is killed.
READY_TIMEOUT: Final = 30
STOP_TIMEOUT: Final = 10


class OneByOne:
    """Signals the process itself, not its group: a Celery parent stops its own children in order."""

    def terminate(self, pid: int) -> None:
        _signal(os.kill, pid, signal.SIGTERM)

    def kill(self, pid: int) -> None:
        _signal(os.killpg, pid, signal.SIGKILL)


def main() -> int:
    try:
        settings = Settings.from_environment()
        check_port(settings)
        with_valkey = not settings.redis_url
        if not with_valkey:
            check_redis(settings.redis_url)
        return run_with_valkey(settings) if with_valkey else run(settings, settings.redis_url)
    except (InvalidSetting, EmbeddedServerUnavailable) as error:
        print(f"jobcast: {error}", file=sys.stderr)
        return 1


def check_port(settings: Settings) -> None:
    """Raise InvalidSetting when somebody else listens there."""
    family = socket.AF_INET6 if ":" in settings.bind_host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.bind_host, settings.port))
        except OSError as error:
            reason = f"{settings.port} cannot be used ({error.strerror}); set PORT to another one"
            raise InvalidSetting("PORT", reason) from error


def check_redis(url: str) -> None:
    """Raise InvalidSetting when nobody answers there."""
    try:
        with redis.Redis.from_url(url, socket_connect_timeout=3, socket_timeout=3) as client:
            client.ping()
    except (redis.exceptions.RedisError, ValueError, OSError) as error:
        raise InvalidSetting("REDIS_URL", f"no Redis answers there ({error})") from error


def run_with_valkey(settings: Settings) -> int:
    """Start the embedded server around everything else."""
    valkey = EmbeddedValkey(log=ROOT / "var" / "valkey.log").start()
    try:
        print(f"jobcast: embedded Valkey on {valkey.url}", flush=True)
        return run(settings, valkey.url)
    finally:
        valkey.stop()


def run(settings: Settings, redis_url: str) -> int:
    """Run the Procfile's processes until one of them ends or a signal comes."""
    honcho.manager.KILL_WAIT = STOP_TIMEOUT
    manager = honcho.manager.Manager()
    manager._procmgr = OneByOne()
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    environment = {**os.environ, "REDIS_URL": redis_url, "PATH": path, "PYTHONUNBUFFERED": "1"}
    for name, command in procfile().items():
        manager.add_process(name, f"exec {command}", env=environment, cwd=str(ROOT))
    threading.Thread(target=announce, args=(settings,), daemon=True).start()
    manager.loop()
    return 0 if manager.returncode in (130, 143) else int(manager.returncode or 1)


def procfile() -> dict[str, str]:
    """Process names and commands."""
    lines = (ROOT / "Procfile").read_text().splitlines()
    pairs = (line.split(":", 1) for line in lines if ":" in line and not line.startswith("#"))
    return {name.strip(): command.strip() for name, command in pairs}


def announce(settings: Settings) -> None:
    """Say where to look as soon as there is something to see."""
    base = f"http://{'127.0.0.1' if settings.binds_loopback else settings.bind_host}:{settings.port}"
    deadline = time.monotonic() + READY_TIMEOUT
    answer = "nothing answers"
    while time.monotonic() < deadline:
        answer = ask(f"{base}/readyz")
        if answer == "ready":
            print(f"\njobcast: running, open {base}  (Ctrl-C stops everything)\n", flush=True)
            return
        time.sleep(0.2)
    print(f"jobcast: not ready after {READY_TIMEOUT} s: {answer}", file=sys.stderr, flush=True)


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


def _signal(send: Any, pid: int, signum: int) -> None:
    with contextlib.suppress(ProcessLookupError):  # it has ended by itself
        send(pid, signum)


if __name__ == "__main__":
    sys.exit(main())
