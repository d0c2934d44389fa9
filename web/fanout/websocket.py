"""eventlet's WebSocket, declining compression and keeping hold of the TCP socket.

Browsers always offer permessage-deflate and eventlet always accepts, at about 98 KiB per client. And a
client that does not read can only be parted from by its TCP socket: a writer that is blocked hears nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import socketio
from engineio.async_drivers.eventlet import WebSocketWSGI


class PlainWebSocket(WebSocketWSGI):  # type: ignore[misc]  # untyped library
    """Leaves the TCP socket on the Engine.IO socket as ``tcp``."""

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        environ.pop("HTTP_SEC_WEBSOCKET_EXTENSIONS", None)
        self.handler.__self__.tcp = environ["eventlet.input"].get_socket()
        answer: Iterable[bytes] = super().__call__(environ, start_response)
        return answer


def use_plain_websockets(server: socketio.Server) -> None:
    """Have this server's upgrades go through ``PlainWebSocket``."""
    server.eio._async = dict(server.eio._async, websocket=PlainWebSocket)
