"""python-socketio's client manager with our listener in it.

Our own envelopes go to the fan-out. A stock emit is checked and sent to whoever is in its room, so that an
unmodified ``flask_socketio.SocketIO(message_queue=…)`` in somebody's existing worker is delivered too.
"""

from __future__ import annotations

import json
import logging
from typing import Any, Final

import redis
import socketio
from engineio.packet import MESSAGE, Packet

from jobcast.ledger.connection import connect
from jobcast.server.delivery.direct import DirectConnection
from jobcast.server.delivery.fanout import CLIENTS_PER_TURN, Fanout
from jobcast.server.delivery.resync import Resync
from jobcast.server.delivery.subscriptions import Subscriptions
from jobcast.server.protocol.events import frame_of
from jobcast.server.redis import stock_emits as incoming
from jobcast.server.redis.channels import Channels
from jobcast.server.redis.chunks import Chunks
from jobcast.server.redis.listener import Listener, dialler
from jobcast.server.redis.shards import Hub, Shards
from jobcast.server.socketio.rooms import Rooms

logger = logging.getLogger(__name__)

#: Made once: ``json.dumps`` with arguments makes one for each message.
_ENCODER: Final = json.JSONEncoder(separators=(",", ":"), allow_nan=False, check_circular=False)


class FanoutManager(Rooms):
    """Listens for everybody, publishes for stock emits of this process."""

    name = "jobcast"

    def __init__(
        self,
        url: str,
        channels: Channels | Shards,
        fanout: Fanout,
        resync: Resync,
        subscriptions: Subscriptions,
    ) -> None:
        super().__init__(subscriptions, channels.shared)
        self._shards = channels if isinstance(channels, Shards) else None
        if isinstance(channels, Shards):
            channels = Channels(channels.shared, per_topic=False)
        self._redis: redis.Redis = connect(url)
        self._fanout = fanout
        self._resync = resync
        self.listener = Listener(
            dialler(url),
            channels,
            on_listening=resync.everybody,
            on_idle=fanout.flush,
            sleep=lambda seconds: self.server.sleep(seconds),
        )

    def take_over(self, server: socketio.Server) -> None:
        """Become the manager of a server that has no clients yet."""
        server.manager = self
        self.set_server(server)

    def start(self) -> None:
        """Listen from boot, not from the first client on."""
        self.server.manager_initialized = True
        self.initialize()
        if self._shards is not None:
            self._shards.start(
                Hub(
                    on_listening=self._resync.everybody,
                    on_idle=self._fanout.flush,
                    consume=self._consume,
                    spawn=self.server.start_background_task,
                    sleep=self.server.sleep,
                )
            )

    @property
    def listening(self) -> bool:
        """Whether everything that is followed here is listened to."""
        return self.listener.listening and (self._shards is None or self._shards.listening)

    def read_by(self, chunks: Chunks) -> None:
        """The way in which bytes are read from Redis; before the start."""
        self.listener.chunks = chunks
        if self._shards is not None:
            self._shards.chunks = chunks

    def _publish(self, data: dict[str, Any]) -> None:
        self._redis.publish(self.channel, self.json.dumps(data))

    def _thread(self) -> None:
        """What ``initialize`` starts."""
        self._consume(self.listener)

    def _consume(self, listener: Listener) -> None:
        """For ever, whatever arrives."""
        for message in listener.messages():
            try:
                self._take(message)
            except Exception:
                logger.exception("a message of the queue is passed over after an error of our own")

    def _take(self, message: bytes) -> None:
        if self._fanout.receive(message):
            return
        emit = incoming.accept(message)
        if emit is not None and emit.get("host_id") != self.host_id:
            self._handle_emit(emit)
        self._fanout.breathe_if_due()

    def _handle_emit(self, message: dict[str, Any]) -> None:
        if message.get("callback") or message.get("binary") or message.get("skip_sid"):
            super()._handle_emit(message)
        else:
            self._send_to_all(message)

    def _send_to_all(self, message: dict[str, Any]) -> None:
        """A stock emit, encoded once and only when somebody here is in its room."""
        namespace = message.get("namespace") or "/"
        members = self.members(namespace, message.get("room"))
        if not members:
            return
        packet = _event_packet(namespace, message["event"], message.get("data"))
        for number, eio_sid in enumerate(members, 1):
            self._post(eio_sid, packet)
            if number % CLIENTS_PER_TURN == 0:
                self._fanout.breathe_if_due()

    def _post(self, eio_sid: str, packet: Packet) -> None:
        """Send with the next flush where there is one."""
        client = self.server.eio.sockets.get(eio_sid)
        if isinstance(client, DirectConnection):
            client.post(frame_of(packet))
        elif client is not None:
            self.server._send_eio_packet(eio_sid, packet)


def _event_packet(namespace: str, event: Any, data: Any) -> Packet:
    """The Engine.IO packet of a Socket.IO event; raise ValueError for NaN, which no browser can read."""
    arguments = data if isinstance(data, list) else [data]
    prefix = "" if namespace == "/" else f"{namespace},"
    encoded = _ENCODER.encode([event, *arguments])
    return Packet(MESSAGE, f"2{prefix}{encoded}")
