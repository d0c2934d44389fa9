"""A process full of subscribers: ``python -m tests.chaos.client PLAN RECORD``.

PLAN is a JSON object {connections: [{name, port, jobs: [[id, at], …]}]}; ``at`` is the moment of
``time.monotonic()`` at which that job is subscribed to. Everything that arrives is written to RECORD as it
is, before the filter that a real client has. A connection that is lost comes back and resubscribes with
``since`` and ``epoch``, as client/core does.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
import json
import os
import random
import resource
import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from tests.chaos.wire import ConnectionLost, WebSocket

#: Seconds before a lost connection is tried again: the first time, and at most.
FIRST_PAUSE: Final = 0.2
LONGEST_PAUSE: Final = 0.5
#: Seconds before a subscription the server could not serve is asked for again.
ASK_AGAIN: Final = 0.3
#: Connections opened at once by one process.
AT_ONCE: Final = 20
EVENT: Final = '["job:status-changed",'

_numbers = itertools.count()


class Recorder:
    """Lines of JSON, each written at once: a killed process loses none."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab", buffering=0)

    def __call__(self, *line: Any) -> None:
        self._file.write(json.dumps(line).encode() + b"\n")

    def event(self, connection: str, incarnation: str, payload: str) -> None:
        event = json.loads(payload)
        event.pop("details", None)
        self("event", time.monotonic(), connection, incarnation, event)


class LatencyRecorder(Recorder):
    """Of each event only how old it was when it arrived, in milliseconds."""

    def event(self, connection: str, incarnation: str, payload: str) -> None:
        at = payload.rfind('"timestamp":"') + len('"timestamp":"')
        made = datetime.fromisoformat(payload[at : payload.index('"', at)]).timestamp()
        self("late", time.monotonic(), round((time.time() - made) * 1000, 1))


class Connection:
    """One client: a socket at a time, and how far it has got in each job."""

    def __init__(self, plan: dict[str, Any], record: Recorder, authenticator: asyncio.Semaphore) -> None:
        self.name: str = plan["name"]
        self._port: int = plan["port"]
        self._jobs: list[tuple[str, float]] = plan["jobs"]
        self._receive_buffer: int = plan.get("receiveBuffer", 0)
        self._record = record
        self._gate = authenticator
        self._places: dict[str, tuple[str, int]] = {}
        self._incarnation = ""
        self._socket: WebSocket | None = None
        self._asked: dict[str, str] = {}

    async def run(self) -> None:
        """Be connected, for ever."""
        pause = FIRST_PAUSE
        while True:
            try:
                async for text in await self._open():
                    pause = FIRST_PAUSE
                    self._take(text)
            except (OSError, EOFError, TimeoutError, ConnectionLost):
                self._close()
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _open(self) -> Any:
        async with self._gate:
            self._socket = await WebSocket.connect(self._port, self._receive_buffer)
        self._incarnation = f"{os.getpid()}-{next(_numbers)}"
        self._record("open", time.monotonic(), self.name, self._incarnation)
        return self._socket.messages()

    def _close(self) -> None:
        if self._socket is not None:
            self._socket.abort()
            self._record("close", time.monotonic(), self.name, self._incarnation)
            self._socket = None

    def _take(self, text: str) -> None:
        if text.startswith("0"):  # Engine.IO is open: join the namespace
            self._send("40/jobs,")
        elif text.startswith("40/jobs,"):
            self._subscribe_all()
        elif text.startswith("43/jobs,"):
            self._answer(text[len("43/jobs,") :])
        elif text.startswith("42/jobs," + EVENT):
            self._event(text[len("42/jobs,") + len(EVENT) : -1])
        elif text.startswith(("41", "1", "44")):
            raise ConnectionLost(text)

    def _subscribe_all(self) -> None:
        self._asked.clear()
        for job_id, at in self._jobs:
            self._later(at - time.monotonic(), job_id)

    def _later(self, delay: float, job_id: str) -> None:
        again = functools.partial(self._subscribe, job_id, self._incarnation)
        if delay <= 0:
            again()
        else:
            asyncio.get_running_loop().call_later(delay, again)

    def _subscribe(self, job_id: str, incarnation: str) -> None:
        if self._socket is None or incarnation != self._incarnation:
            return
        place: dict[str, Any] = {"jobId": job_id}
        if job_id in self._places:
            place["epoch"], place["since"] = self._places[job_id]
        number = str(len(self._asked) + 1)
        self._asked[number] = job_id
        self._send(f"42/jobs,{number}{json.dumps(['subscribe-job', place])}")

    def _answer(self, text: str) -> None:
        number, _, body = text.partition("[")
        answer, job_id = json.loads("[" + body)[0], self._asked[number]
        self._record("answer", time.monotonic(), self.name, self._incarnation, job_id, answer["ok"])
        if not answer["ok"]:
            self._later(ASK_AGAIN, job_id)

    def _event(self, payload: str) -> None:
        self._record.event(self.name, self._incarnation, payload)
        self._remember(payload)

    def _remember(self, payload: str) -> None:
        """The client's own filter: only what is newer moves its place."""
        head = payload.split(",", 2)
        sequence, epoch = int(head[0].split(":")[1]), json.loads(head[1].split(":", 1)[1])
        job_id = _after(payload, '"jobId":"')
        known = self._places.get(job_id)
        if known is None or known[0] != epoch or known[1] < sequence:
            self._places[job_id] = (epoch, sequence)

    def _send(self, text: str) -> None:
        if self._socket is not None:
            self._socket.send(text)


def _after(text: str, mark: str) -> str:
    start = text.index(mark) + len(mark)
    return text[start : text.index('"', start)]


async def run(plan: dict[str, Any], record: Recorder) -> None:
    """Every connection of the plan, until the process is ended from outside."""
    authenticator = asyncio.Semaphore(AT_ONCE)
    await asyncio.gather(*(Connection(one, record, authenticator).run() for one in plan["connections"]))


def main(arguments: list[str]) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    plan = json.loads(Path(arguments[0]).read_text())
    kind: Callable[[Path], Recorder] = LatencyRecorder if plan.get("latency") else Recorder
    asyncio.run(run(plan, kind(Path(arguments[1]))))


if __name__ == "__main__":
    main(sys.argv[1:])
