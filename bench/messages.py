"""What the emitters send: one payload, in the envelope of each system under test."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgpack

from jobcast import envelope
from jobcast.ledger.port import new_epoch
from jobcast.models import JobStatusUpdate, now
from jobcast.topics import job_topic

#: Writes the envelope of one message: job number, sequence → bytes for the channel of that job.
Writer = Callable[[int, int], bytes]

NAMESPACE: Final = "/jobs"
EVENT: Final = "job:status-changed"
#: What python-socketio puts at the end of its own envelopes; any text will do.
STOCK_HOST: Final = "bench"


def job_id(number: int) -> str:
    return f"j{number}"


def update(number: int, sequence: int) -> JobStatusUpdate:
    """The update behind ``payload``, for those who go through the ledger; stamped now."""
    details = {"t": time.time_ns()}
    return JobStatusUpdate(
        job_id=job_id(number), status="in_progress", progress=_progress(sequence), details=details
    )


def payload(number: int, sequence: int, epoch: str, timestamp: str) -> str:
    """The JSON that the ledger would store for ``update``; ``details.t`` is the time in nanoseconds."""
    return (
        f'{{"sequence":{sequence},"epoch":"{epoch}","attempt":1,"progress":{_progress(sequence)},'
        f'"jobId":"j{number}","status":"in_progress","details":{{"t":{time.time_ns()}}},'
        f'"timestamp":"{timestamp}"}}'
    )


class Payloads:
    """Payloads of one epoch; the timestamp, which nobody measures, is written once."""

    def __init__(self) -> None:
        self._epoch = new_epoch()
        self._timestamp = _timestamp()

    def text(self, number: int, sequence: int) -> str:
        return payload(number, sequence, self._epoch, self._timestamp)

    def fields(self, number: int, sequence: int) -> dict[str, Any]:
        """The same as an object."""
        return {
            "sequence": sequence,
            "epoch": self._epoch,
            "attempt": 1,
            "progress": _progress(sequence),
            "jobId": job_id(number),
            "status": "in_progress",
            "details": {"t": time.time_ns()},
            "timestamp": self._timestamp,
        }


def own(rooms: int, *, merge: bool) -> Writer:
    """The reporter's envelopes; with ``merge`` they are progress that a newer one makes unnecessary."""
    heads = [envelope.head(job_topic(job_id(number)), EVENT) for number in range(rooms)]
    payloads = Payloads()
    return lambda number, sequence: envelope.seal(
        heads[number], merge, payloads.text(number, sequence)
    ).encode()


def stock(rooms: int) -> Writer:
    """What ``flask_socketio.SocketIO(message_queue=…).emit`` publishes."""
    envelopes = [_stock_head(number) for number in range(rooms)]
    payloads = Payloads()

    def write(number: int, sequence: int) -> bytes:
        envelopes[number]["data"] = [payloads.fields(number, sequence)]
        return json.dumps(envelopes[number]).encode()

    return write


def node(rooms: int) -> Writer:
    """What ``@socket.io/redis-emitter`` publishes: sender, packet and options as msgpack."""
    options = [{"rooms": [f"job:j{number}"], "except": [], "flags": {}} for number in range(rooms)]
    payloads = Payloads()
    pack: Callable[[object], bytes] = msgpack.Packer().pack

    def write(number: int, sequence: int) -> bytes:
        packet = {"type": 2, "data": [EVENT, payloads.fields(number, sequence)], "nsp": NAMESPACE}
        return pack(["emitter", packet, options[number]])

    return write


def channels(rooms: int, channel: str, *, per_topic: bool) -> Sequence[str]:
    """The channel of each room for our own envelopes."""
    topics = [job_topic(job_id(number)) for number in range(rooms)]
    return [envelope.channel_of(topic, channel, per_topic=per_topic) for topic in topics]


def node_channels(rooms: int) -> Sequence[str]:
    """The channel of each room, as the Redis adapter listens to them."""
    return [f"socket.io#{NAMESPACE}#job:j{number}#" for number in range(rooms)]


def _stock_head(number: int) -> dict[str, Any]:
    return {
        "method": "emit",
        "event": EVENT,
        "data": [],
        "binary": False,
        "namespace": NAMESPACE,
        "room": f"job:j{number}",
        "skip_sid": None,
        "callback": None,
        "host_id": STOCK_HOST,
    }


def _progress(sequence: int) -> int:
    """Rises and never ends."""
    return min(sequence, 99)


def _timestamp() -> str:
    return str(JobStatusUpdate(job_id="j0", status="in_progress", timestamp=now()).wire()["timestamp"])
