"""A front door for one Socket.IO server: its parts put together, and tried before anybody comes in."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final

import eventlet
import socketio
from eventlet.greenio import GreenSocket
from eventlet.patcher import original

from jobcast.server.delivery.write_batch import WriteBatch
from jobcast.server.protocol.handshake import Request
from jobcast.server.protocol.inbound_budget import InboundBudget
from jobcast.server.websocket.acceptor import Acceptor
from jobcast.server.websocket.context import ServerContext
from jobcast.server.websocket.lazy_environ import LazyEnvirons
from jobcast.server.websocket.pending_limit import PendingLimit

logger = logging.getLogger(__name__)

#: Seconds the trial may take.
TRIAL_TIMEOUT: Final = 3.0
_OPENING: Final = (
    b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
    b"Origin: http://localhost\r\n"
    b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
#: A masked Socket.IO packet, for a namespace there is not, and a masked close frame, 1000.
_QUESTION: Final = b"\x81\x89\x00\x00\x00\x0040/trial,"
_GOODBYE: Final = b"\x88\x82\x00\x00\x00\x00\x03\xe8"


def build_acceptor(
    server: socketio.Server,
    app: Any,
    listening: Any,
    write_batch: WriteBatch,
    is_welcome: Callable[[Request], bool],
    patience: float,
    budget: InboundBudget,
    pending_limit: PendingLimit,
) -> Acceptor | None:
    """A door that was tried; None when the parts of the libraries it leans on are not as expected."""
    try:
        server.environ = LazyEnvirons(server.environ)
        scope = _scope(app, listening)
        context = ServerContext(
            server.eio, server.environ, scope, write_batch, is_welcome, patience, budget, pending_limit
        )
        context.start()
        acceptor = Acceptor(listening, context)
        _try(acceptor)
    except (Exception, eventlet.Timeout):  # which is not an Exception
        logger.exception("the front door stays closed, WebSockets go the stock way")
        server.eio.sockets.clear()  # only the trial can have come in
        return None
    return acceptor


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


def _try(acceptor: Acceptor) -> None:
    """Let one connection of our own in, and out again; raise when it is not served."""
    ours, theirs = original("socket").socketpair()
    with eventlet.Timeout(TRIAL_TIMEOUT):
        acceptor.let_in(theirs, ("127.0.0.1", 0))
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
