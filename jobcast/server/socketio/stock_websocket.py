"""eventlet's WebSocket, declining compression and keeping hold of the TCP socket.

Browsers always offer permessage-deflate and eventlet always accepts, at about 98 KiB per client. And a
client that does not read can only be parted from by its TCP socket: a writer that is blocked hears nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import socketio
from engineio.async_drivers.eventlet import WebSocketWSGI

from jobcast.server.protocol.packets import BadPacket, decoded


class StockWebSocket(WebSocketWSGI):  # type: ignore[misc]  # untyped library
    """Leaves the TCP socket on the Engine.IO socket as ``tcp``."""

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        environ.pop("HTTP_SEC_WEBSOCKET_EXTENSIONS", None)
        handle: Any = self.handler  # type: ignore[has-type]
        client = handle.__self__
        client.tcp = environ["eventlet.input"].get_socket()
        limit = client.server.max_http_buffer_size
        self.handler = lambda ws: handle(Strict(ws, limit))
        answer: Iterable[bytes] = super().__call__(environ, start_response)
        return answer


class Strict:
    """An eventlet WebSocket that ends with the first thing that is no packet; engineio would raise."""

    def __init__(self, ws: Any, limit: int) -> None:
        self._ws = ws
        self._limit = limit

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ws, name)

    def wait(self) -> Any:
        """The next message; None when there are no more."""
        try:
            message = self._ws.wait()
            if message is None or len(message) > self._limit:
                return None
            decoded(message)
        except (OSError, ValueError, RuntimeError, BadPacket):
            return None
        return message


def use_stock_websockets(server: socketio.Server) -> None:
    """Have this server's upgrades go through ``StockWebSocket``."""
    server.eio._async = dict(server.eio._async, websocket=StockWebSocket)
