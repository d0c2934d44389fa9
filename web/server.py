"""The eventlet server: one listening socket, and what runs beside it.

Everything that knows eventlet's name is here and in ``jobcast.server.websocket``.
"""

from __future__ import annotations

import logging
import os
import resource
import signal
import socket
import sys
from typing import Any, Final

import eventlet
import eventlet.wsgi

from jobcast import InvalidSetting
from jobcast.server import audit, background
from jobcast.server.client_address import addresses_of
from jobcast.server.socketio.stock_websocket import use_stock_websockets
from jobcast.server.websocket.acceptor import Acceptor
from jobcast.server.websocket.build import build_acceptor
from jobcast.server.websocket.http_timeouts import protocol_with_timeouts
from jobcast.server.websocket.pending_limit import PendingLimit
from jobcast.server.websocket.read_ahead import chunks as read_ahead
from jobcast.server.websocket.wsgi_listener import WsgiListener
from web.app import Web, create_app
from web.gc_freeze import GcFreeze
from web.log_lines import start_logging
from web.processes import die_with_parent
from web.settings import WebSettings
from web.shutdown import STOP_TIMEOUT, stop

logger = logging.getLogger(__name__)

#: Connections that may wait to be accepted.
BACKLOG: Final = 4096
#: Connections held at once; eventlet's own default stops accepting at 1,024.
MAX_CONNECTIONS: Final = 100_000
#: Bytes the kernel holds for a client that does not read; its own default grows to megabytes.
SEND_BUFFER_BYTES: Final = 64 * 1024
#: Seconds a connection that is kept alive may be silent.
IDLE_TIMEOUT: Final = 75


def main() -> int:
    """Run until SIGTERM; 1 with one line on standard error when it cannot start."""
    die_with_parent()
    start_logging()
    try:
        settings = _checked(WebSettings.from_environment().require_redis())
        listening = _bind(settings)
        web = create_app(settings)
        use_stock_websockets(web.server.socketio)
    except InvalidSetting as error:
        print(f"jobcast web: {error}", file=sys.stderr)  # noqa: T201
        return 1
    _serve(web, listening)
    return 0


def _checked(settings: WebSettings) -> WebSettings:
    if settings.socketio_async_mode != "eventlet":
        raise InvalidSetting("SOCKETIO_ASYNC_MODE", "this server runs on eventlet")
    if settings.has_key:
        return settings
    if not settings.binds_loopback:
        raise InvalidSetting("HOST", "without SOCKETIO_JWT_KEY only loopback is served")
    logger.warning("no SOCKETIO_JWT_KEY: everybody on this machine may see everything")
    return settings


def _bind(settings: WebSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.bind_host else socket.AF_INET
    try:
        bound: socket.socket = eventlet.listen(
            (settings.bind_host, settings.port), family, backlog=BACKLOG, reuse_port=settings.shares_port
        )
    except OSError as error:
        raise InvalidSetting("PORT", f"{settings.port} cannot be used: {error.strerror}") from error
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)  # inherited when accepting
    return bound


def _serve(web: Web, listening: socket.socket) -> None:
    _raise_descriptor_limit()
    web.server.manager.read_by(read_ahead)
    background.start(web.server)
    eventlet.spawn(GcFreeze().run, eventlet.sleep)
    host, port = listening.getsockname()[:2]
    acceptor = _build_acceptor(web, listening) or WsgiListener(listening)
    acceptor.open()
    _stop_on_signals(web, acceptor)
    logger.info("serving on http://%s:%s", host, port)
    eventlet.wsgi.server(
        acceptor,
        web.app,
        max_size=MAX_CONNECTIONS,
        protocol=protocol_with_timeouts(web.settings.jobcast_handshake_seconds, IDLE_TIMEOUT),
        log=logging.getLogger("web.access"),
        log_output=False,
        debug=False,
        socket_timeout=IDLE_TIMEOUT,
    )


def _build_acceptor(web: Web, listening: socket.socket) -> Acceptor | None:
    if not web.settings.jobcast_front_door:
        logger.info("no front door, WebSockets go the stock way")
        return None
    return build_acceptor(
        web.server.socketio,
        web.app,
        listening,
        web.server.write_batch,
        web.server.hooks.is_welcome,
        web.settings.jobcast_handshake_seconds,
        _pending_limit(web.settings),
    )


def _pending_limit(settings: WebSettings) -> PendingLimit:
    limit = settings.jobcast_limit_connections_per_address
    return PendingLimit(
        addresses_of(settings).of_peer, limit, lambda name: audit.refused("rate-limited", address=name)
    )


def _raise_descriptor_limit() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    logger.info("up to %s descriptors", hard)


def _stop_on_signals(web: Web, acceptor: Acceptor | WsgiListener) -> None:
    def handle(signum: int, frame: Any) -> None:
        eventlet.hubs.get_hub().schedule_call_global(0, eventlet.spawn, _stop, web, acceptor)

    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, handle)


def _stop(web: Web, acceptor: Acceptor | WsgiListener) -> None:
    eventlet.spawn_after(STOP_TIMEOUT, os._exit, 0)
    stop(web, acceptor, eventlet.sleep)
