"""Several server processes on one port: ``WEB_CONCURRENCY``. The kernel deals out the connections.

Each child is a whole server process; nothing is shared but the port. Long polling needs all requests of a
client to reach the same process, which nobody guarantees here, so the children serve WebSockets only.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from typing import Any, Final

#: Set in the children's environment; tells them that they share the port.
NUMBER: Final = "JOBCAST_WEB_PROCESS"
#: The process that started them.
_PARENT: Final = "JOBCAST_WEB_PARENT"
#: From <sys/prctl.h>.
_PR_SET_PDEATHSIG: Final = 1
#: Seconds within which an end means that the process could not start.
START_SECONDS: Final = 5.0
#: Seconds before a child that ended by itself is started again.
RESTART_PAUSE: Final = 1.0
#: Seconds after which a child that was asked to stop is killed; a platform waits for 30.
STOP_TIMEOUT: Final = 25.0


class Processes:
    """Keeps ``count`` children running until it is told to stop."""

    def __init__(self, program: str, count: int, command: list[str]) -> None:
        self._program = program
        self._command = command
        self._children: dict[int, subprocess.Popen[bytes]] = {}
        self._started: dict[int, float] = {}
        self._count = count
        self._code = 0
        self._stopping = False

    def run(self) -> int:
        """Until SIGTERM or SIGINT; 1 when a child cannot even start."""
        for signum in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signum, self._stop)
        for number in range(self._count):
            self._start(number)
        while not self._stopping:
            time.sleep(0.1)
            for number, child in list(self._children.items()):
                if (code := child.poll()) is not None and not self._stopping:
                    self._react(number, code)
        return self._see_off()

    def _start(self, number: int) -> None:
        environment = {**os.environ, NUMBER: str(number), _PARENT: str(os.getpid())}
        self._children[number] = subprocess.Popen(self._command, env=environment)  # noqa: S603  # our own
        self._started[number] = time.monotonic()

    def _react(self, number: int, code: int) -> None:
        if code == 1 and time.monotonic() - self._started[number] < START_SECONDS:
            self._code = code  # a setting that is wrong would be wrong again
            self._stop()
            return
        print(f"{self._program}: process {number} ended with {code}, starting it again", file=sys.stderr)  # noqa: T201
        time.sleep(RESTART_PAUSE)
        if not self._stopping:
            self._start(number)

    def _stop(self, *_: Any) -> None:
        self._stopping = True
        for child in self._children.values():
            if child.poll() is None:
                child.terminate()

    def _see_off(self) -> int:
        deadline = time.monotonic() + STOP_TIMEOUT
        for child in self._children.values():
            try:
                child.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        return self._code


def wanted() -> int:
    """How many processes this one is to start; 0 when it is to serve by itself."""
    asked = os.environ.get("WEB_CONCURRENCY", "")
    if NUMBER in os.environ or not asked.isdigit():  # anything odd is for Settings to refuse
        return 0
    return int(asked) if int(asked) > 1 else 0


def die_with_parent() -> None:
    """Have a child told to stop when its parent ends, however that ends; Linux keeps the promise."""
    parent = os.environ.get(_PARENT, "")
    if NUMBER not in os.environ or not parent.isdigit() or sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != int(parent):
        sys.exit("jobcast: the process that started this one has ended")


def main(program: str, count: int, command: list[str]) -> int:
    """Start ``command`` so many times, and stay until they are to end; ``program`` names us on errors.

    1 when somebody else listens on their port.
    """
    if (reason := _port_is_taken()) is not None:
        print(f"{program}: PORT: {reason}", file=sys.stderr)  # noqa: T201
        return 1
    return Processes(program, count, command).run()


def _port_is_taken() -> str | None:
    """The children share the port with whoever else shares it, which would be another deployment's."""
    # Not before somebody asks: a process that serves has to patch the standard library first.
    from jobcast.errors import InvalidSetting
    from jobcast.server.settings import ServerSettings

    try:
        settings = ServerSettings.from_environment()
    except InvalidSetting:
        return None  # a child says so
    family = socket.AF_INET6 if ":" in settings.bind_host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.bind_host, settings.port))
        except OSError as error:
            return f"{settings.port} cannot be used: {error.strerror}"
    return None
