"""Several server processes on one port: ``WEB_CONCURRENCY``. The kernel deals out the connections.

Each child is a whole server process; nothing is shared but the port. Long polling needs all requests of a
client to reach the same process, which nobody guarantees here, so the children serve WebSockets only.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import Any, Final

#: Set in the children's environment; tells them that they share the port.
NUMBER: Final = "JOBCAST_WEB_PROCESS"
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
        environment = {**os.environ, NUMBER: str(number)}
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


def main(program: str, count: int, command: list[str]) -> int:
    """Start ``command`` so many times, and stay until they are to end; ``program`` names us on errors."""
    return Processes(program, count, command).run()
