"""One client that wants everything against many that want a little: ``python -m tests.flood``.

Prints as JSON how late updates reach 500 clients while nobody, and while somebody, floods the server with
events, connections or subscriptions. Quiet and flooded rounds alternate in one run; the ratio of their p99 is
the point, the milliseconds are the machine's.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import jwt

from jobcast.models import Notification
from tests.chaos.wire import ConnectionLost, WebSocket
from tests.stack import ROOT, Stack
from tests.wire import PING, frame

KEY: Final = "a-key-for-tests-" * 4
INBOX: Final = "everybody"
#: The flooder's address, as the one trusted proxy tells it.
FLOODER: Final = "203.0.113.66"
ENVIRONMENT: Final = {"SOCKETIO_JWT_KEY": KEY, "HOST": "127.0.0.1", "JOBCAST_PROXY_HOPS": "1"}
#: Clients that connect at the same time.
AT_ONCE: Final = 20

_STAMP: Final = re.compile(r'"title":"([0-9.]+)"')


def token(user: str) -> str:
    claims = {"sub": user, "scope": f"user:{INBOX}", "exp": time.time() + 3600}
    return jwt.encode(claims, KEY, "HS256")


async def connect(port: int, address: str) -> WebSocket:
    return await WebSocket.connect(port, headers=f"X-Forwarded-For: {address}\r\n")


class Listener:
    """One of the many: follows one inbox; ``late`` is how late each update was, in seconds."""

    def __init__(self, number: int) -> None:
        self.late: list[float] = []
        self.subscribed = asyncio.Event()
        self._user = f"listener-{number}"
        self._address = f"198.51.{number // 250}.{number % 250 + 1}"

    async def run(self, port: int, authenticator: asyncio.Semaphore) -> None:
        """Listen until cancelled; a connection that is lost is an error."""
        async with authenticator:
            websocket = await connect(port, self._address)
        with contextlib.closing(_Aborted(websocket)):
            async for text in websocket.messages():
                self._take(websocket, text)

    def _take(self, websocket: WebSocket, text: str) -> None:
        if text.startswith("0{"):
            websocket.send(f'40/notifications,{{"token":"{token(self._user)}"}}')
        elif text.startswith("40/notifications,"):
            websocket.send(f'42/notifications,["subscribe-user","{INBOX}"]')
        elif '["subscribed"' in text:
            self.subscribed.set()
        elif stamp := _STAMP.search(text):
            self.late.append(time.monotonic() - float(stamp[1]))


class _Aborted:
    def __init__(self, websocket: WebSocket) -> None:
        self.close = websocket.abort


class Crowd:
    """Many listeners on one port, all in one event loop."""

    def __init__(self, port: int, size: int) -> None:
        self.listeners = [Listener(number) for number in range(size)]
        self._port = port
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Crowd:
        authenticator = asyncio.Semaphore(AT_ONCE)
        self._tasks = [asyncio.create_task(one.run(self._port, authenticator)) for one in self.listeners]
        await asyncio.gather(*(one.subscribed.wait() for one in self.listeners))
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def lost(self) -> int:
        """Listeners whose connection ended."""
        return sum(task.done() for task in self._tasks)

    def missing(self, updates: int) -> int:
        """Deliveries that have not happened, of so many updates to everybody."""
        return sum(max(0, updates - len(one.late)) for one in self.listeners)

    def take(self) -> list[float]:
        """How late everything was that arrived since this was asked last."""
        late = list(itertools.chain.from_iterable(one.late for one in self.listeners))
        for one in self.listeners:
            one.late.clear()
        return late


def update(stack: Stack) -> None:
    """One update for everybody; its title says when it was made."""
    stamp = f"{time.monotonic():.6f}"
    notice = {"id": stamp, "type": "alert", "title": stamp, "message": "x", "severity": "info"}
    stack.ledger.append_notification(INBOX, Notification.model_validate(notice))


async def flood_events(port: int) -> None:
    """As many events as the connection takes, each with an ack."""
    await _pour(port, lambda n: f'42/notifications,{n % 1000}["mark-read",{{"userId":"nobody","ids":[]}}]')


async def flood_subscriptions(port: int) -> None:
    """As many subscriptions as the connection takes, to two topics by turns."""
    await _pour(port, lambda n: f'42/notifications,["subscribe-user","{INBOX if n % 2 else "flooder"}"]')


async def _pour(port: int, message: Callable[[int], str]) -> None:
    websocket = await connect(port, FLOODER)
    with contextlib.closing(_Aborted(websocket)):
        websocket.send(f'40/notifications,{{"token":"{token("flooder")}"}}')
        for number in itertools.count():
            websocket.send(message(number))
            if number % 100 == 0:
                await websocket.drain()


async def flood_connections(port: int) -> None:
    """As many connections as are let in, fifty at a time, and as many tries as are answered."""
    with contextlib.ExitStack() as kept:
        for _ in range(50):
            kept.enter_context(contextlib.closing(_Aborted(await connect(port, FLOODER))))


async def flood_pongs(port: int) -> None:
    """As many packets that are no messages as the connection takes."""
    await _pour_packets(port, frame("3") * 500)


async def flood_websocket_pings(port: int) -> None:
    """As many pings of the WebSocket as the connection takes."""
    await _pour_packets(port, frame(b"x", PING) * 500)


async def flood_requests(port: int) -> None:
    """As many requests as one kept connection takes, without waiting for answers."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    reading = asyncio.create_task(reader.read())
    try:
        while not reading.done():
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n" * 50)
            await writer.drain()
    finally:
        reading.cancel()
        writer.close()


async def _pour_packets(port: int, data: bytes) -> None:
    websocket = await connect(port, FLOODER)
    with contextlib.closing(_Aborted(websocket)):
        while True:
            websocket._writer.write(data)
            await websocket.drain()


KINDS: Final[dict[str, Callable[[int], Awaitable[None]]]] = {
    "events": flood_events,
    "subscriptions": flood_subscriptions,
    "pongs": flood_pongs,
    "WebSocket pings": flood_websocket_pings,
    "requests": flood_requests,
    "connections": flood_connections,
}


async def flood(port: int, kind: str, seconds: float) -> int:
    """Flood for a while, never giving up; how often it was turned away."""
    turned_away, end = 0, time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        try:
            await asyncio.wait_for(KINDS[kind](port), left)
        except (OSError, EOFError, ConnectionLost):
            turned_away += 1
        except TimeoutError:
            break
    return turned_away


async def measure(stack: Stack, size: int, rounds: int, seconds: float, rate: float) -> dict[str, Any]:
    """p50 and p99 of each round, quiet and flooded by turns, and the ratios of their medians."""
    found: dict[str, list[dict[str, float]]] = {kind: [] for kind in ("quiet", *KINDS)}
    async with Crowd(stack.port, size) as pending_limit:
        await _round(stack, pending_limit, seconds, rate)  # warms up
        for kind in [kind for _ in range(rounds) for one in KINDS for kind in ("quiet", one)]:
            flooder = _start_flooder(stack.port, kind, seconds) if kind in KINDS else None
            try:
                found[kind].append(await _round(stack, pending_limit, seconds, rate))
            finally:
                tries, _ = await asyncio.to_thread(flooder.communicate) if flooder else (0, "")
            found[kind][-1]["turned_away"] = int(tries)
        lost = pending_limit.lost
    p99 = {kind: statistics.median(one["p99_ms"] for one in of_kind) for kind, of_kind in found.items()}
    ratios = {kind: round(p99[kind] / p99["quiet"], 2) for kind in KINDS}
    return {"clients": size, "lost": lost, "p99_ratio_to_quiet": ratios, "p99_ms": p99, "rounds": found}


async def _round(stack: Stack, pending_limit: Crowd, seconds: float, rate: float) -> dict[str, float]:
    updates = int(seconds * rate)
    for _ in range(updates):
        await asyncio.to_thread(update, stack)
        await asyncio.sleep(1 / rate)
    end = time.monotonic() + 10
    while (missing := pending_limit.missing(updates)) and time.monotonic() < end:
        await asyncio.sleep(0.05)
    late = sorted(1000 * one for one in pending_limit.take())
    percentiles = {f"p{p}_ms": round(late[int(len(late) * p / 100)], 1) for p in (50, 99)}
    return {"updates": updates, "delivered": len(late), "missing": missing, **percentiles}


def _start_flooder(port: int, kind: str, seconds: float) -> subprocess.Popen[bytes]:
    """A process of its own, which begins when it is loaded: its start is not the server's work."""
    command = [sys.executable, "-m", "tests.flood", "--flood", kind, str(port), str(seconds)]
    flooder = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    if flooder.stdout is not None:
        flooder.stdout.readline()
    return flooder


def main() -> None:
    parser = argparse.ArgumentParser("python -m tests.flood", description=__doc__)
    parser.add_argument("--clients", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rate", type=float, default=10.0, help="updates a second")
    parser.add_argument("--flood", nargs=3, metavar=("KIND", "PORT", "SECONDS"), help="only flood")
    wanted = parser.parse_args()
    if wanted.flood:
        kind, port, seconds = wanted.flood
        print("loaded", flush=True)
        print(asyncio.run(flood(int(port), kind, float(seconds))))
        return
    with tempfile.TemporaryDirectory() as folder:
        stack = Stack(Path(folder), **ENVIRONMENT)
        try:
            stack.valkey.start()
            stack.start_web()
            found = asyncio.run(measure(stack, wanted.clients, wanted.rounds, wanted.seconds, wanted.rate))
        finally:
            stack.stop()
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
