"""A client that began with long polling and changes to WebSocket, as the official client does by default.

Engine.IO's probe: ``2probe`` is answered with ``3probe`` and an end to the poll that waits; ``5`` makes the
change. From then on it is a client of the front door like any other.
"""

from __future__ import annotations

import queue
import socket
from typing import TYPE_CHECKING, Any, Final

from engineio.packet import NOOP, Packet

from web.fanout.door.client import READ, WebSocketClient
from web.fanout.door.frames import BadFrame, Close, Inbound, Ping, text_frame
from web.fanout.door.readiness import IN

if TYPE_CHECKING:
    from web.fanout.door.door import House
    from web.fanout.door.handshake import Request

#: Seconds the whole change may take.
PATIENCE: Final = 10.0


class Upgrade:
    """Watches the new connection until the change is made or given up."""

    def __init__(self, house: House, tcp: socket.socket, polling: Any, request: Request) -> None:
        self._house = house
        self._tcp = tcp
        self._polling = polling
        self._request = request
        self._inbound = Inbound(house.engine.max_http_buffer_size)
        self._probed = self._over = False
        self._client: WebSocketClient | None = None

    def ready(self, events: int) -> None:
        try:
            data = self._tcp.recv(READ)
            for message in self._inbound.feed(data):
                self._take(message)
            if self._client is not None:
                self._client.inherit(self._inbound)
        except (BlockingIOError, InterruptedError):
            return
        except (OSError, BadFrame):
            data = b""
        if not data and not self._over:
            self._give_up()

    def tick(self, now: float) -> None:
        if not self._over:
            self._give_up()

    def _take(self, message: str | bytes | Ping | Close) -> None:
        if self._client is not None:  # came together with the last of the probe
            self._client.take(message)
        elif message == "2probe" and not self._probed:
            self._probed = self._polling.upgrading = True
            self._tcp.send(text_frame(b"3probe"))
            self._polling.queue.put(Packet(NOOP))
        elif message == "5" and self._probed and not self._over and not self._polling.closed:
            self._change()
        else:
            raise BadFrame(1002, "not the probe")

    def _change(self) -> None:
        self._over = True
        polling, house = self._polling, self._house
        client = WebSocketClient(house, self._tcp, polling.sid)
        polling.closed = True  # ends its timer; handlers are not told, the client goes on
        house.admit(client, self._request)
        house.poller.hand_to(self._tcp.fileno(), client, IN)
        for packet in _drained(polling.queue):
            client.send(packet)
        self._client = client
        polling.queue.put(None)  # whoever still polls is let go

    def _give_up(self) -> None:
        self._over = True
        self._polling.upgrading = False
        self._house.poller.forget(self._tcp.fileno())
        self._tcp.close()


def _drained(waiting: Any) -> list[Packet]:
    found: list[Packet] = []
    while True:
        try:
            packet = waiting.get(block=False)
        except queue.Empty:
            return found
        waiting.task_done()
        if packet is not None and packet.packet_type != NOOP:
            found.append(packet)
