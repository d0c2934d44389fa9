"""``python -m bench.publish``: messages for ``job:j0`` … round robin, from one process, in pipelines.

Prints one line of JSON when all are published. With ``--wait`` it prints ``ready`` first and begins when
it reads a line.
"""

from __future__ import annotations

import argparse
import json
import socket
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import socketio

from bench import messages
from jobcast.ledger import RedisLedger

#: Sends the message of one job with one sequence, now or with the batch.
Send = Callable[[int, int], None]

READ_SIZE: Final = 1 << 16


class Pipeline:
    """PUBLISH commands on one plain connection, sent and answered a batch at a time."""

    def __init__(self, url: str, channels: Sequence[str], write: messages.Writer) -> None:
        parts = urlsplit(url)
        self.receivers = 0
        self._socket = socket.create_connection((parts.hostname or "127.0.0.1", parts.port or 6379))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._openings = [_publish_opening(channel) for channel in channels]
        self._write = write
        self._commands: list[bytes] = []

    def send(self, number: int, sequence: int) -> None:
        message = self._write(number, sequence)
        self._commands.append(b"%b$%d\r\n%b\r\n" % (self._openings[number], len(message), message))

    def flush(self) -> None:
        """Send the batch and read its replies; raise RuntimeError when one is an error."""
        wanted = len(self._commands)
        self._socket.sendall(b"".join(self._commands))
        self._commands.clear()
        replies = b""
        while replies.count(b"\r\n") < wanted:
            received = self._socket.recv(READ_SIZE)
            if not received:
                raise RuntimeError("Redis closed the connection")
            replies += received
        if b"-" in replies:
            raise RuntimeError(f"Redis: {replies[replies.index(b'-') :].splitlines()[0].decode()}")
        self.receivers = int(replies.rsplit(b":", 1)[1])

    def close(self) -> None:
        self._socket.close()


def _publish_opening(channel: str) -> bytes:
    return f"*3\r\n$7\r\nPUBLISH\r\n${len(channel)}\r\n{channel}\r\n".encode()


@dataclass(frozen=True)
class Plan:
    """How many messages for how many rooms; ``rate`` is per second in all, 0 as fast as possible."""

    rooms: int
    count: int
    rate: float
    batch: int


def publish(plan: Plan, send: Send, flush: Callable[[], None]) -> float:
    """Send everything; return the seconds it took."""
    started = time.perf_counter()
    for first in range(0, plan.count, plan.batch):
        if plan.rate:
            time.sleep(max(0.0, started + first / plan.rate - time.perf_counter()))
        for n in range(first, min(first + plan.batch, plan.count)):
            send(n % plan.rooms, n // plan.rooms + 1)
        flush()
    return time.perf_counter() - started


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parse(arguments)
    plan = Plan(options.rooms, options.count, options.rate, options.batch)
    send, flush, close = _way(options)
    if options.wait:
        print("ready", flush=True)
        sys.stdin.readline()
    seconds = publish(plan, send, flush)
    close()
    print(json.dumps(_figures(plan, seconds)), flush=True)


def _figures(plan: Plan, seconds: float) -> dict[str, Any]:
    return {
        "published": plan.count,
        "rooms": plan.rooms,
        "seconds": round(seconds, 4),
        "rate": round(plan.count / seconds, 1),
        "cpu_seconds": round(time.process_time(), 3),
    }


def _way(options: argparse.Namespace) -> tuple[Send, Callable[[], None], Callable[[], None]]:
    """How to send, flush and close."""
    if options.ledger:
        return _through_the_ledger(options)
    if options.manager:
        return _through_the_manager(options)
    pipeline = _pipeline(options)
    return pipeline.send, pipeline.flush, pipeline.close


def _pipeline(options: argparse.Namespace) -> Pipeline:
    rooms = options.rooms
    if options.node:
        return Pipeline(options.redis, messages.node_channels(rooms), messages.node(rooms))
    if options.stock:
        return Pipeline(options.redis, [options.channel] * rooms, messages.stock(rooms))
    channels = messages.channels(rooms, options.channel, per_topic=options.per_topic)
    return Pipeline(options.redis, channels, messages.own(rooms, merge=options.merge))


def _through_the_ledger(options: argparse.Namespace) -> tuple[Send, Callable[[], None], Callable[[], None]]:
    ledger = RedisLedger.from_url(options.redis, options.channel)
    ledger.ping()

    def send(number: int, sequence: int) -> None:
        ledger.append_job(messages.update(number, sequence), mergeable=options.merge)

    return send, _nothing, ledger.close


def _through_the_manager(options: argparse.Namespace) -> tuple[Send, Callable[[], None], Callable[[], None]]:
    manager = socketio.RedisManager(options.redis, channel=options.channel, write_only=True)
    payloads = messages.Payloads()

    def send(number: int, sequence: int) -> None:
        fields = payloads.fields(number, sequence)
        manager.emit(messages.EVENT, fields, namespace=messages.NAMESPACE, room=f"job:j{number}")

    return send, _nothing, _nothing


def _nothing() -> None:
    """Nothing waits."""


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.publish", description=__doc__)
    parser.add_argument("--redis", required=True, metavar="URL")
    parser.add_argument("--rooms", type=int, default=1, metavar="N")
    parser.add_argument("--count", type=int, default=400, metavar="M", help="messages in all")
    parser.add_argument("--rate", type=float, default=0, metavar="R", help="per second in all; 0: no limit")
    parser.add_argument("--batch", type=int, default=64, metavar="B", help="messages per pipeline")
    parser.add_argument("--channel", default="flask-socketio")
    parser.add_argument("--merge", action="store_true", help="let the debounce layer merge them")
    parser.add_argument("--wait", action="store_true", help="begin when a line is read from standard input")
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--stock", action="store_true", help="envelopes of Flask-SocketIO's message_queue")
    kind.add_argument("--per-topic", action="store_true", help="each room on a channel of its own")
    kind.add_argument("--node", action="store_true", help="envelopes of @socket.io/redis-emitter")
    kind.add_argument("--ledger", action="store_true", help="through RedisLedger.append_job, one by one")
    kind.add_argument("--manager", action="store_true", help="through socketio.RedisManager, one by one")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
