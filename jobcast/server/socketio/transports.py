"""One client's way out, with a bound: what a client does not read is not piled up for it.

A client that has too much waiting is sent nothing more; its subscriptions are marked as behind, which costs
a flag, and are brought up to date from the ledger when it reads again. Answers and stock emits cannot be
read again, so a client that lets too many of those pile up is disconnected.

WebSocket clients of the front door keep their own account. Here is that of the stock sockets: long polling,
and WebSockets when the front door is closed. Engine.IO queues for them without limit.
"""

from __future__ import annotations

import contextlib
import functools
import logging
from socket import SHUT_RDWR
from typing import Any, Final

import engineio
import socketio
from engineio.exceptions import SocketIsClosedError
from engineio.packet import Packet

from jobcast.server.delivery.direct import SLOW_AFTER_BYTES, DirectConnection
from jobcast.server.protocol.events import Event

logger = logging.getLogger(__name__)

#: Packets below which a queue is not measured.
FEW: Final = 256


class ClientTransport:
    """Sends to one Engine.IO client as long as it reads, whatever its transport is at the moment."""

    __slots__ = ("_direct", "_eio", "_queued", "eio_sid")

    def __init__(self, eio: engineio.Server, eio_sid: str) -> None:
        self._eio = eio
        self.eio_sid = eio_sid
        self._queued = 0
        self._direct: DirectConnection | None = None

    def send(self, event: Event) -> bool:
        """Take the event; False when the client has gone or is too far behind."""
        if self._direct is not None and self._direct.offer(event):
            return True
        socket = self._eio.sockets.get(self.eio_sid)
        if isinstance(socket, DirectConnection):
            if socket is self._direct:
                return False
            self._direct = socket  # from now on without looking it up
            return socket.offer(event)
        return socket is not None and self._queue(socket, event.packet)

    def has_room(self) -> bool:
        """Whether the client would be sent something now."""
        socket = self._eio.sockets.get(self.eio_sid)
        if isinstance(socket, DirectConnection):
            return socket.has_room
        return socket is not None and not socket.closed and self._has_room(socket)

    def _queue(self, socket: Any, packet: Packet) -> bool:
        if socket.closed or not self._has_room(socket):
            return False
        self._queued += len(packet.data)
        try:
            socket.send(packet)
        except SocketIsClosedError:
            return False
        return True

    def _has_room(self, socket: Any) -> bool:
        if socket.queue.empty():
            self._queued = 0
        return self._queued < SLOW_AFTER_BYTES


def guard_queues(server: socketio.Server) -> None:
    """Disconnect a stock client whose queue of answers and stock emits grows past the bound."""
    send = server._send_eio_packet

    @functools.wraps(send)
    def guarded(eio_sid: str, packet: Packet) -> None:
        socket = server.eio.sockets.get(eio_sid)
        if socket is not None and not isinstance(socket, DirectConnection) and _is_flooded(socket):
            _kick(server, socket)
        else:
            send(eio_sid, packet)

    server._send_eio_packet = guarded


def _is_flooded(socket: Any) -> bool:
    queue = socket.queue
    if queue.qsize() < FEW:
        return False
    waiting = tuple(queue.queue)  # another thread may be taking from it
    return sum(len(packet.data or "") for packet in waiting if packet) > 2 * SLOW_AFTER_BYTES


def _kick(server: socketio.Server, socket: Any) -> None:
    logger.warning("client %s does not read its messages, disconnected", socket.sid)
    with getattr(socket.queue, "mutex", contextlib.nullcontext()):
        socket.queue.queue.clear()
    server.start_background_task(socket.close, wait=False, abort=True)
    tcp = getattr(
        socket, "tcp", None
    )  # see jobcast.server.websocket.stock_websocket; a polling client has none
    if tcp is not None:
        with contextlib.suppress(OSError):
            tcp.shutdown(SHUT_RDWR)
