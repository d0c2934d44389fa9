"""python-socketio's client manager with our listener in it.

``_listen`` and ``_publish`` are the two methods python-socketio asks a backend to implement. Our own
envelopes go to the fan-out; anything else takes the stock path, so that an unmodified
``flask_socketio.SocketIO(message_queue=…)`` in somebody's existing worker is delivered too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import redis
from engineio.packet import MESSAGE, Packet

from jobcast.ledger.redis import connect
from web import incoming
from web.fanout.channels import Channels
from web.fanout.fanout import SHARE, Fanout
from web.fanout.listener import Listener
from web.fanout.rooms import Rooms
from web.fanout.subscriptions import Subscriptions


class FanoutManager(Rooms):
    """Listens for everybody, publishes for stock emits of this process."""

    name = "jobcast"

    def __init__(self, url: str, channels: Channels, fanout: Fanout, subscriptions: Subscriptions) -> None:
        super().__init__(subscriptions, channels.shared)
        self._redis: redis.Redis = connect(url)
        self._fanout = fanout
        self.listener = Listener(
            url,
            channels,
            on_listening=fanout.resync,
            on_idle=fanout.flush,
            sleep=lambda seconds: self.server.sleep(seconds),
        )

    def start(self) -> None:
        """Listen from boot, not from the first client on."""
        self.server.manager_initialized = True
        self.initialize()

    def _publish(self, data: dict[str, Any]) -> None:
        self._redis.publish(self.channel, self.json.dumps(data))

    def _listen(self) -> Iterator[dict[str, Any]]:
        for message in self.listener.messages():
            if not self._fanout.receive(message) and (emit := incoming.accept(message)) is not None:
                yield emit

    def _handle_emit(self, message: dict[str, Any]) -> None:
        if message.get("callback") or message.get("binary") or message.get("skip_sid"):
            super()._handle_emit(message)
        else:
            self._send_to_all(message)

    def _send_to_all(self, message: dict[str, Any]) -> None:
        """A stock emit, encoded once and only when somebody here is in its room."""
        namespace = message.get("namespace") or "/"
        members = list(self.get_participants(namespace, message.get("room")))
        if not members:
            return
        packet = _event_packet(namespace, message["event"], message.get("data"))
        for number, (_, eio_sid) in enumerate(members, 1):
            self.server._send_eio_packet(eio_sid, packet)
            if number % SHARE == 0:
                self.server.sleep(0)


def _event_packet(namespace: str, event: Any, data: Any) -> Packet:
    """The Engine.IO packet of a Socket.IO event; raise ValueError for NaN, which no browser can read."""
    arguments = data if isinstance(data, list) else [data]
    prefix = "" if namespace == "/" else f"{namespace},"
    encoded = json.dumps([event, *arguments], separators=(",", ":"), allow_nan=False)
    return Packet(MESSAGE, f"2{prefix}{encoded}")
