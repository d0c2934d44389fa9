"""``python -m bench.load``: many clients in one process that count what arrives.

Connects, subscribes client n to ``job:j{n mod rooms}``, prints a line of JSON, receives, and prints
another with what arrived: how much, in which order, how late. While it measures it only reads, stamps and
keeps; messages are parsed afterwards. With ``--idle`` it prints a line after connecting and one after
subscribing, goes on after a line on standard input each time, and receives nothing.
"""

from __future__ import annotations

import argparse
import gc
import json
import resource
import select
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from bench.arrivals import Arrivals, Chunk
from bench.client import PING, PONG, READ_SIZE, Client, RequestRefused

#: Ends each message once, and no other byte of its frame: lengths from 126 to 348 are written without it.
END: Final = b"]"


class Crowd:
    """All clients of this process on one epoll."""

    def __init__(self, url: str, *, deflate: bool) -> None:
        parts = urlsplit(url)
        self.address = (parts.hostname or "127.0.0.1", parts.port or 80)
        self.clients: dict[int, Client] = {}
        self._deflate = deflate
        self._epoll = select.epoll()

    def connect(self, count: int, at_once: int, timeout: float) -> float:
        """Open ``count`` connections, so many at a time; return the seconds it took."""
        started = time.perf_counter()
        self._converse(iter(range(count)), self._open, at_once, timeout)
        return time.perf_counter() - started

    def subscribe(self, rooms: int, at_once: int, timeout: float) -> float:
        """Subscribe every client to its room; return the seconds it took."""

        def begin(client: Client) -> Client:
            client.start(client.subscribe(f"j{client.number % rooms}"))
            return client

        started = time.perf_counter()
        self._converse(iter(list(self.clients.values())), begin, at_once, timeout)
        return time.perf_counter() - started

    def receive(self, expected: int, quiet: float, timeout: float) -> list[Chunk]:
        """Read until so many messages arrived, nothing came for ``quiet`` seconds, or time ran out."""
        chunks: list[Chunk] = []
        buffer = bytearray(READ_SIZE)
        view = memoryview(buffer)
        clients, epoll, stamp = self.clients, self._epoll, time.time_ns
        count, idle, deadline = 0, 0.0, time.monotonic() + timeout
        while count < expected and time.monotonic() < deadline and idle < quiet:
            ready = epoll.poll(0.2, 1024)
            idle = 0.0 if ready or not chunks else idle + 0.2
            for descriptor, _ in ready:
                client = clients[descriptor]
                size = client.sock.recv_into(buffer)
                arrived = stamp()
                data = bytes(view[:size])
                if not size:
                    raise RequestRefused(f"the server closed connection {client.number}")
                chunks.append((client.number, arrived, data))
                count += data.count(END)
                if PING in data:
                    client.sock.send(PONG)
        return chunks

    def idle_until(self, line: Iterable[str]) -> None:
        """Answer pings until standard input has a line, or ended."""
        stdin = sys.stdin.fileno()
        self._epoll.register(stdin, select.EPOLLIN)
        while not any(descriptor == stdin for descriptor, _ in self._poll()):
            pass
        self._epoll.unregister(stdin)
        next(iter(line), None)

    def close(self) -> None:
        for client in self.clients.values():
            client.sock.close()
        self._epoll.close()

    def _open(self, number: int) -> Client:
        client = Client(number, self.address)
        self.clients[client.sock.fileno()] = client
        self._epoll.register(client.sock, select.EPOLLIN)
        client.start(client.connect(self.address, self._deflate))
        return client

    def _converse(
        self, items: Iterable[Any], begin: Callable[[Any], Client], at_once: int, timeout: float
    ) -> None:
        """Have a conversation per item, ``at_once`` at a time; raise RequestRefused when time runs out."""
        deadline = time.monotonic() + timeout
        waiting = iter(items)
        busy = sum(1 for _ in zip(range(at_once), map(begin, waiting), strict=False))
        while busy:
            if time.monotonic() > deadline:
                raise RequestRefused(f"{busy} clients got no answer in {timeout} s")
            for _, over in self._poll():
                if over:
                    busy -= 1
                    busy += sum(1 for _ in map(begin, _first(waiting)))

    def _poll(self) -> list[tuple[int, bool]]:
        """Read what is there; each descriptor, and whether its conversation ended just now."""
        return [(descriptor, self._serve(descriptor)) for descriptor, _ in self._epoll.poll(0.2)]

    def _serve(self, descriptor: int) -> bool:
        client = self.clients.get(descriptor)
        if client is None:
            return False
        data = client.read()
        if PING in data:
            client.sock.send(PONG)
        return client.talk is not None and client.proceed(data)


def _first(items: Any) -> list[Any]:
    """The next item, if there is one."""
    return [item for item in (next(items, None),) if item is not None]


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parse(arguments)
    _raise_descriptor_limit()
    gc.disable()  # what was received only grows until it is parsed
    pending_limit = Crowd(options.url, deflate=options.deflate)
    try:
        if options.idle:
            _idle(pending_limit, options)
        else:
            _measure(pending_limit, options)
    except RequestRefused as refused:
        sys.exit(f"bench.load: {refused}")
    finally:
        pending_limit.close()


def _idle(pending_limit: Crowd, options: argparse.Namespace) -> None:
    _say(connected=pending_limit.connect(options.clients, options.at_once, options.timeout), options=options)
    pending_limit.idle_until(sys.stdin)
    _say(subscribed=pending_limit.subscribe(options.rooms, options.at_once, options.timeout), options=options)
    pending_limit.idle_until(sys.stdin)


def _measure(pending_limit: Crowd, options: argparse.Namespace) -> None:
    connected = pending_limit.connect(options.clients, options.at_once, options.timeout)
    subscribed = pending_limit.subscribe(options.rooms, options.at_once, options.timeout)
    _say(connected=connected, subscribed=subscribed, options=options)
    wanted = expected(options.clients, options.rooms, options.count)
    cpu, started = time.process_time(), time.perf_counter()
    chunks = pending_limit.receive(sum(wanted), options.quiet, options.timeout)
    cpu, seconds = time.process_time() - cpu, time.perf_counter() - started
    tally = Arrivals.of(chunks)
    print(json.dumps(tally.figures(wanted) | {"cpu_seconds": round(cpu, 3), "waited": round(seconds, 3)}))


def expected(clients: int, rooms: int, count: int) -> list[int]:
    """Messages per client when ``count`` go round robin over the rooms."""
    per_room = [count // rooms + (room < count % rooms) for room in range(rooms)]
    return [per_room[number % rooms] for number in range(clients)]


def _say(options: argparse.Namespace, **seconds: float) -> None:
    figures: dict[str, float] = {"clients": options.clients}
    for name, taken in seconds.items():
        figures[f"{name}_seconds"] = round(taken, 4)
        figures[f"{name}_per_second"] = round(options.clients / taken, 1)
    print(json.dumps(figures), flush=True)


def _raise_descriptor_limit() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.load", description=__doc__)
    parser.add_argument("--url", required=True, help="http://host:port of the server")
    parser.add_argument("--clients", type=int, default=1)
    parser.add_argument("--rooms", type=int, default=1)
    parser.add_argument("--count", type=int, default=0, help="messages that are published in all")
    parser.add_argument("--at-once", type=int, default=16, help="connections being opened at a time")
    parser.add_argument("--deflate", action="store_true", help="offer compression, as browsers do")
    parser.add_argument("--idle", action="store_true")
    parser.add_argument("--quiet", type=float, default=15, help="seconds without a message that end it")
    parser.add_argument("--timeout", type=float, default=120)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
