"""A front door for one Socket.IO server: its parts put together, and tried before anybody comes in."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final

import eventlet
import socketio
from eventlet.greenio import GreenSocket
from eventlet.patcher import original

from web.fanout.door.crowd import Crowd
from web.fanout.door.door import Door, House
from web.fanout.door.environs import Environs
from web.fanout.door.handshake import Request
from web.fanout.door.outbox import Outbox

logger = logging.getLogger(__name__)

#: Seconds the trial may take.
TRIAL: Final = 3.0
_OPENING: Final = (
    b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
    b"Origin: http://localhost\r\n"
    b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
#: A masked Socket.IO packet, for a namespace there is not, and a masked close frame, 1000.
_QUESTION: Final = b"\x81\x89\x00\x00\x00\x0040/trial,"
_GOODBYE: Final = b"\x88\x82\x00\x00\x00\x00\x03\xe8"


def build_door(
    server: socketio.Server,
    app: Any,
    listening: Any,
    outbox: Outbox,
    is_welcome: Callable[[Request], bool],
    patience: float,
    crowd: Crowd,
) -> Door | None:
    """A door that was tried; None when the parts of the libraries it leans on are not as expected."""
    try:
        server.environ = Environs(server.environ)
        scope = _scope(app, listening)
        house = House(server.eio, server.environ, scope, outbox, is_welcome, patience, crowd)
        house.start()
        door = Door(listening, house)
        _try(door)
    except (Exception, eventlet.Timeout):  # which is not an Exception
        logger.exception("the front door stays closed, WebSockets go the stock way")
        server.eio.sockets.clear()  # only the trial can have come in
        return None
    return door


def _scope(app: Any, listening: Any) -> dict[str, Any]:
    host, port = listening.getsockname()[:2]
    return {
        "GATEWAY_INTERFACE": "CGI/1.1",
        "SERVER_NAME": host,
        "SERVER_PORT": str(port),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "flask.app": app,
    }


def _try(door: Door) -> None:
    """Let one connection of our own in, and out again; raise when it is not served."""
    ours, theirs = original("socket").socketpair()
    with eventlet.Timeout(TRIAL):
        door.let_in(theirs, ("127.0.0.1", 0))
        client = GreenSocket(ours)
        client.sendall(_OPENING)
        answer = _received(client, b'"sid"')
        if not answer.startswith(b"HTTP/1.1 101 "):
            raise RuntimeError(f"unexpected answer {answer[:40]!r}")
        client.sendall(_QUESTION)
        _received(client, b"44/trial,")
        client.sendall(_GOODBYE)
        while client.recv(1024):
            pass
        client.close()


def _received(client: GreenSocket, until: bytes) -> bytes:
    answer = b""
    while until not in answer:
        data: bytes = client.recv(4096)
        if not data:
            raise RuntimeError("the connection was closed")
        answer += data
    return answer
