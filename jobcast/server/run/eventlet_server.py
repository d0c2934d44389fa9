"""The eventlet server: one listening socket, and what runs beside it.

Everything in the library that knows eventlet's name is here, in ``jobcast.server.websocket``, and where a
process begins.
"""

from __future__ import annotations

import logging
import os
import resource
import signal
import socket
from collections.abc import Callable
from typing import Any, Final

import eventlet
import eventlet.wsgi

from jobcast import InvalidSetting
from jobcast.server import audit, background
from jobcast.server.client_address import addresses_of
from jobcast.server.connection_limits import inbound_budget_of
from jobcast.server.run.application import Application
from jobcast.server.run.gc_freeze import GcFreeze
from jobcast.server.run.shutdown import STOP_TIMEOUT, stop
from jobcast.server.settings import ServerSettings
from jobcast.server.websocket.acceptor import Acceptor
from jobcast.server.websocket.build import build_acceptor
from jobcast.server.websocket.http_timeouts import protocol_with_timeouts
from jobcast.server.websocket.pending_limit import PendingLimit
from jobcast.server.websocket.read_ahead import chunks as read_ahead
from jobcast.server.websocket.stock_websocket import use_stock_websockets
from jobcast.server.websocket.wsgi_listener import WsgiListener

logger = logging.getLogger(__name__)

#: Connections that may wait to be accepted.
BACKLOG: Final = 4096
#: Bytes the kernel holds for a client that does not read; its own default grows to megabytes.
SEND_BUFFER_BYTES: Final = 64 * 1024
#: Seconds a connection that is kept alive may be silent.
IDLE_TIMEOUT: Final = 75


def prepare(settings: ServerSettings, create_app: Callable[[], Application]) -> Callable[[], None]:
    """Take the port and make the application; returns what serves it. Raises InvalidSetting."""
    listening = _bind(settings)
    application = create_app()
    use_stock_websockets(application.server.socketio, inbound_budget_of(settings))
    return lambda: _serve(application, listening)


def _bind(settings: ServerSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.bind_host else socket.AF_INET
    try:
        bound: socket.socket = eventlet.listen(
            (settings.bind_host, settings.port), family, backlog=BACKLOG, reuse_port=settings.shares_port
        )
    except OSError as error:
        raise InvalidSetting("PORT", f"{settings.port} cannot be used: {error.strerror}") from error
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)  # inherited when accepting
    return bound


def _serve(application: Application, listening: socket.socket) -> None:
    _raise_descriptor_limit()
    application.server.manager.read_by(read_ahead)
    background.start(application.server)
    eventlet.spawn(GcFreeze().run, eventlet.sleep)
    host, port = listening.getsockname()[:2]
    acceptor = _build_acceptor(application, listening) or WsgiListener(listening)
    acceptor.open()
    _stop_on_signals(application, acceptor)
    logger.info("serving on http://%s:%s", host, port)
    eventlet.wsgi.server(
        acceptor,
        application.app,
        max_size=application.server.settings.jobcast_limit_connections,
        protocol=protocol_with_timeouts(application.server.settings.jobcast_handshake_seconds, IDLE_TIMEOUT),
        log=logging.getLogger("web.access"),
        log_output=False,
        debug=False,
        socket_timeout=IDLE_TIMEOUT,
    )


def _build_acceptor(application: Application, listening: socket.socket) -> Acceptor | None:
    if not application.server.settings.jobcast_front_door:
        logger.info("no front door, WebSockets go the stock way")
        return None
    return build_acceptor(
        application.server.socketio,
        application.app,
        listening,
        application.server.write_batch,
        application.server.hooks.is_welcome,
        application.server.settings.jobcast_handshake_seconds,
        inbound_budget_of(application.server.settings),
        _pending_limit(application),
    )


def _pending_limit(application: Application) -> PendingLimit:
    settings = application.server.settings
    limit = settings.jobcast_limit_connections_per_address
    return PendingLimit(
        addresses_of(settings).of_peer,
        limit,
        lambda name: audit.refused("rate-limited", address=name),
        settings.jobcast_limit_connections,
        lambda: len(application.server.socketio.eio.sockets),
    )


def _raise_descriptor_limit() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    logger.info("up to %s descriptors", hard)


def _stop_on_signals(application: Application, acceptor: Acceptor | WsgiListener) -> None:
    def handle(signum: int, frame: Any) -> None:
        eventlet.hubs.get_hub().schedule_call_global(0, eventlet.spawn, _stop, application, acceptor)

    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, handle)


def _stop(application: Application, acceptor: Acceptor | WsgiListener) -> None:
    eventlet.spawn_after(STOP_TIMEOUT, os._exit, 0)
    stop(application.server, acceptor, eventlet.sleep)
