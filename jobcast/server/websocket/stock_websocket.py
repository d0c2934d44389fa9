"""eventlet's WebSocket, declining compression, reading within bounds and keeping hold of the TCP socket.

Browsers always offer permessage-deflate and eventlet always accepts, at about 98 KiB per client. It reads
for as long as there is something, whatever it is, and keeps every part of a message. And a client that does
not read can only be parted from by its TCP socket: a writer that is blocked hears nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

import socketio
from engineio.async_drivers.eventlet import WebSocketWSGI
from eventlet.websocket import FailedConnectionError

from jobcast.server import audit
from jobcast.server.protocol import frames
from jobcast.server.protocol.inbound_budget import BudgetSpent, InboundBudget
from jobcast.server.protocol.packets import BadPacket, decoded


def use_stock_websockets(server: socketio.Server, budget: InboundBudget) -> None:
    """Have this server's upgrades go through ``StockWebSocket``, each within ``budget``."""

    class Budgeted(StockWebSocket):
        inbound_budget = budget

    server.eio._async = dict(server.eio._async, websocket=Budgeted)


class StockWebSocket(WebSocketWSGI):  # type: ignore[misc]  # untyped library
    """Leaves the TCP socket on the Engine.IO socket as ``tcp``."""

    inbound_budget: InboundBudget

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        environ.pop("HTTP_SEC_WEBSOCKET_EXTENSIONS", None)
        handle: Any = self.handler  # type: ignore[has-type]
        client = handle.__self__
        client.tcp = environ["eventlet.input"].get_socket()
        self.handler = lambda ws: handle(BoundedWebSocket(ws, client, self.inbound_budget, environ))
        answer: Iterable[bytes] = super().__call__(environ, start_response)
        return answer


class BoundedWebSocket:
    """An eventlet WebSocket that ends with the first thing that is no packet, or is too much.

    It has the same budget and the same limits as a connection of the front door. Its parser stays eventlet's:
    this path serves when the other one's library is not as expected.
    """

    def __init__(self, ws: Any, client: Any, budget: InboundBudget, environ: dict[str, Any]) -> None:
        self._ws = ws
        self._client = client
        self._budget = budget
        self._environ = environ
        self._limit = client.server.max_http_buffer_size
        self._paid_until = 0.0
        #: Of the message that is being read: bytes, and parts they are kept in.
        self._size = self._parts = 0
        self._receive = ws._recv_frame
        ws._recv_frame = self._receive_frame
        ws._apply_mask = _unmasked

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ws, name)

    def wait(self) -> Any:
        """The next message; None when there are no more."""
        try:
            message = self._ws.wait()
            if message is not None:
                decoded(message)
        except (OSError, ValueError, RuntimeError, BadPacket):
            return None
        return message

    def _receive_frame(self, message: Any = None) -> Any:
        """One frame, which counts, whatever it is; then everybody else on the hub goes on."""
        found = self._receive(message=message)
        is_control = bool(found.opcode & 8)
        size = sum(map(len, found.data)) if is_control else self._collect(found, is_new=message is None)
        self._charge(size)
        self._client.server.sleep(0)
        return found

    def _collect(self, message: Any, *, is_new: bool) -> int:
        """How many bytes this frame added to its message."""
        if is_new:
            self._size = self._parts = 0
        added = sum(map(len, message.data[self._parts :]))
        self._size += added
        if self._size > self._limit:
            raise FailedConnectionError(frames.TOO_BIG, "message too big")
        if len(message.data) > frames.PARTS:
            message.data = [b"".join(message.data)]
        self._parts = len(message.data)
        return added

    def _charge(self, size: int) -> None:
        try:
            self._paid_until = self._budget.charge(self._paid_until, time.monotonic(), 1, size)
        except BudgetSpent as error:
            audit.note("limit", self._environ, sid=self._client.sid, code="rate-limited")
            raise FailedConnectionError(frames.POLICY, str(error)) from error


def _unmasked(data: bytes, mask: tuple[int, ...], length: int, offset: int = 0) -> bytes:
    """As eventlet's own, without a step of Python for each byte."""
    start = offset % 4
    key = (bytes(mask) * (length // 4 + 2))[start : start + length]
    return (int.from_bytes(data, "big") ^ int.from_bytes(key, "big")).to_bytes(length, "big")
