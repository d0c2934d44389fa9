"""The eventlet server: one listening socket, and what runs beside it.

Everything that knows eventlet's name is here and in ``web.fanout.door``.
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

from jobcast import InvalidSetting, Settings
from web import audit
from web.addresses import addresses_of
from web.app import Web, create_app
from web.fanout.door.ahead import chunks as read_ahead
from web.fanout.door.build import build_door
from web.fanout.door.crowd import Crowd
from web.fanout.door.door import Door
from web.fanout.door.plain import PlainDoor
from web.fanout.door.protocol import patient_protocol
from web.fanout.websocket import use_plain_websockets
from web.farewell import DEADLINE, stop
from web.loops import LOOPS, forever

logger = logging.getLogger(__name__)

#: Connections that may wait to be accepted.
BACKLOG: Final = 4096
#: Connections held at once; eventlet's own default stops accepting at 1,024.
MAX_CONNECTIONS: Final = 100_000
#: Bytes the kernel holds for a client that does not read; its own default grows to megabytes.
SEND_BUFFER: Final = 64 * 1024
#: Seconds a connection that is kept alive may be silent.
IDLE: Final = 75


def main() -> int:
    """Run until SIGTERM; 1 with one line on standard error when it cannot start."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        settings = _checked(Settings.from_environment().require_redis())
        listening = _bind(settings)
        web = create_app(settings)
        use_plain_websockets(web.socketio.server)
    except InvalidSetting as error:
        print(f"jobcast web: {error}", file=sys.stderr)  # noqa: T201
        return 1
    _serve(web, listening)
    return 0


def _checked(settings: Settings) -> Settings:
    if settings.socketio_async_mode != "eventlet":
        raise InvalidSetting("SOCKETIO_ASYNC_MODE", "this server runs on eventlet")
    if settings.has_key:
        return settings
    if not settings.binds_loopback:
        raise InvalidSetting("HOST", "without SOCKETIO_JWT_KEY only loopback is served")
    logger.warning("no SOCKETIO_JWT_KEY: everybody on this machine may see everything")
    return settings


def _bind(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.bind_host else socket.AF_INET
    try:
        bound: socket.socket = eventlet.listen(
            (settings.bind_host, settings.port), family, backlog=BACKLOG, reuse_port=settings.shares_port
        )
    except OSError as error:
        raise InvalidSetting("PORT", f"{settings.port} cannot be used: {error.strerror}") from error
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)  # inherited when accepting
    return bound


def _serve(web: Web, listening: socket.socket) -> None:
    _raise_descriptor_limit()
    web.manager.read_by(read_ahead)
    web.manager.start()
    for loop in LOOPS:
        eventlet.spawn(forever, loop, web, eventlet.sleep)
    host, port = listening.getsockname()[:2]
    door = _front_door(web, listening) or PlainDoor(listening)
    door.open()
    _stop_on_signals(web, door)
    logger.info("serving on http://%s:%s", host, port)
    eventlet.wsgi.server(
        door,
        web.app,
        max_size=MAX_CONNECTIONS,
        protocol=patient_protocol(web.settings.jobcast_handshake_seconds, IDLE),
        log=logging.getLogger("web.access"),
        log_output=False,
        debug=False,
        socket_timeout=IDLE,
    )


def _front_door(web: Web, listening: socket.socket) -> Door | None:
    if not web.settings.jobcast_front_door:
        logger.info("no front door, WebSockets go the stock way")
        return None
    return build_door(
        web.socketio.server,
        web.app,
        listening,
        web.outbox,
        web.turnstile.is_welcome,
        web.settings.jobcast_handshake_seconds,
        _crowd(web.settings),
    )


def _crowd(settings: Settings) -> Crowd:
    limit = settings.jobcast_limit_connections_per_address
    return Crowd(
        addresses_of(settings).of_peer, limit, lambda name: audit.refused("rate-limited", address=name)
    )


def _raise_descriptor_limit() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    logger.info("up to %s descriptors", hard)


def _stop_on_signals(web: Web, door: Door | PlainDoor) -> None:
    def handle(signum: int, frame: Any) -> None:
        eventlet.hubs.get_hub().schedule_call_global(0, eventlet.spawn, _stop, web, door)

    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, handle)


def _stop(web: Web, door: Door | PlainDoor) -> None:
    eventlet.spawn_after(DEADLINE, os._exit, 0)
    stop(web, door, eventlet.sleep)
