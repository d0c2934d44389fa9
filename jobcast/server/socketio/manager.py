"""python-socketio's client manager with our listener in it.

Our own envelopes go to the fan-out. What stock processes say is checked and done, so that an unmodified
``flask_socketio.SocketIO(message_queue=…)`` in somebody's existing worker is delivered too.
"""

from __future__ import annotations

import contextlib
import json
import logging
import uuid
from typing import Any, Final

import redis
import socketio
from engineio.packet import MESSAGE, Packet
from redis.connection import parse_url

from jobcast.errors import InvalidSetting
from jobcast.ledger.cluster import PREFIX as CLUSTER
from jobcast.ledger.connection import connect
from jobcast.server.connection_limits import ConnectionRegistry
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
        connections: ConnectionRegistry | None = None,
    ) -> None:
        super().__init__(subscriptions, channels.shared)
        self._shards = channels if isinstance(channels, Shards) else None
        if isinstance(channels, Shards):
            channels = Channels(channels.shared, per_topic=False)
        self._url = url
        self._redis: redis.Redis = connect(url)
        self._fanout = fanout
        self._resync = resync
        self._connections = connections
        self.listener = Listener(
            dialler(url),
            channels,
            on_listening=resync.everybody,
            on_idle=fanout.flush,
            sleep=lambda seconds: self.server.sleep(seconds),
        )

    def take_over(self, server: socketio.Server) -> None:
        """Become the manager of a server that has no clients yet; raise InvalidSetting.

        A message queue of the application's own is replaced when it is the same channel of the same Redis.
        """
        _check_queue(server.manager, self._url, self.channel)
        server.manager = self
        self.set_server(server)

    def start(self) -> None:
        """Listen from boot, not from the first client on."""
        self.host_id = uuid.uuid4().hex  # not that of siblings forked from the process that made this
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

    def connect(self, sid: str, namespace: str) -> str:
        sid = super().connect(sid, namespace)
        if self._connections is not None:  # an application's own namespaces are joined, too
            self._connections.joined(self.eio_sid_from_sid(sid, namespace), sid)
        return sid

    def basic_disconnect(self, sid: str, namespace: str, **kwargs: Any) -> None:
        eio_sid = self.eio_sid_from_sid(sid, namespace)
        super().basic_disconnect(sid, namespace, **kwargs)
        if self._connections is not None and eio_sid is not None:
            self._connections.leave(eio_sid, sid)

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
        """Tell the other processes; never raises, as the library's own does not."""
        try:
            self._redis.publish(self.channel, self.json.dumps(data))
        except (redis.RedisError, OSError, TypeError, ValueError) as error:
            logger.warning("other processes are not told: %s", error)

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
        said = incoming.accept(message)
        if said is not None:
            self._do(said)
        self._fanout.breathe_if_due()

    def _do(self, message: dict[str, Any]) -> None:
        """What another process asks for, or its client answers to one of ours."""
        if message["method"] == "callback":
            self._handle_callback(message)
        elif message.get("host_id") != self.host_id:
            with contextlib.suppress(ValueError):  # the room of a client is nobody else's
                getattr(self, f"_handle_{message['method']}")(message)

    def _handle_disconnect(self, message: dict[str, Any]) -> None:
        """An application's handlers run then, which may take their time."""
        if self.is_connected(message["sid"], message.get("namespace") or "/"):
            self.server.start_background_task(super()._handle_disconnect, message)

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


def _check_queue(manager: Any, url: str, channel: str) -> None:
    """Raise InvalidSetting when emits of the application's other processes would not be heard any more."""
    if not isinstance(manager, socketio.PubSubManager):
        return
    theirs = getattr(manager, "redis_url", "")
    if not theirs or _place(theirs) != _place(url):
        raise InvalidSetting("REDIS_URL", "is not the Redis of the application's own message_queue")
    if manager.channel != channel:
        raise InvalidSetting(
            "SOCKETIO_CHANNEL", f"the application's own message_queue is on the channel {manager.channel}"
        )


def _place(url: str) -> tuple[Any, ...]:
    """Where a URL leads, however it is written; a channel is the same in every database."""
    try:
        named: dict[str, Any] = dict(parse_url(url.removeprefix(CLUSTER)))  # type: ignore[no-untyped-call]
    except ValueError:  # of a sentinel
        return (url,)
    host = named.get("host", "localhost")
    return "127.0.0.1" if host == "localhost" else host, named.get("port", 6379), named.get("path")


def _event_packet(namespace: str, event: Any, data: Any) -> Packet:
    """The Engine.IO packet of a Socket.IO event; raise ValueError for NaN, which no browser can read."""
    arguments = data if isinstance(data, list) else [data]
    prefix = "" if namespace == "/" else f"{namespace},"
    encoded = _ENCODER.encode([event, *arguments])
    return Packet(MESSAGE, f"2{prefix}{encoded}")
