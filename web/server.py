"""The eventlet server: one listening socket, background loops, and an orderly end.

Everything that knows eventlet's name is here and in ``web.fanout``.
"""

from __future__ import annotations

import logging
import os
import random
import resource
import signal
import socket
import sys
from collections.abc import Callable
from typing import Any, Final

import eventlet
import eventlet.wsgi

from jobcast import InvalidSetting, Settings
from jobcast.models import ServerRestarting
from web.app import Web, create_app
from web.fanout.door.build import build_door
from web.fanout.door.client import WebSocketClient
from web.fanout.door.door import Door
from web.fanout.door.plain import PlainDoor
from web.fanout.websocket import use_plain_websockets

logger = logging.getLogger(__name__)

#: Connections that may wait to be accepted.
BACKLOG: Final = 4096
#: Connections held at once; eventlet's own default stops accepting at 1,024.
MAX_CONNECTIONS: Final = 100_000
#: Bytes the kernel holds for a client that does not read; its own default grows to megabytes.
SEND_BUFFER: Final = 64 * 1024
#: Seconds a connection that is kept alive may be silent.
IDLE: Final = 75
#: Seconds clients are given to go; a platform kills after 30.
DRAIN: Final = 5.0
#: Seconds in which they hear that the server restarts.
TELL: Final = 0.3
DEADLINE: Final = 20.0
#: Milliseconds over which clients spread their return.
RETURN_WITHIN: Final = 5_000
#: Seconds between two comparisons of positions on live connections.
COMPARE_EVERY: Final = 10.0
#: Seconds between two looks for clients that poll and went without a word.
CHECK_POLLS_EVERY: Final = 10.0
#: Seconds between two looks for jobs that are followed and not known any more.
RETIRE_EVERY: Final = 60.0
#: Seconds between two looks for progress whose interval is over.
TICK: Final = 0.02


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
    if settings.socketio_jwt_key:
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
    web.manager.start()
    for loop in (_release_loop, _compare_loop, _sweep_loop, _retire_loop, _pulse_loop, _poll_check_loop):
        eventlet.spawn(_forever, loop, web)
    host, port = listening.getsockname()[:2]
    door = _front_door(web, listening) or PlainDoor(listening)
    door.open()
    _stop_on_signals(web, door)
    logger.info("serving on http://%s:%s", host, port)
    eventlet.wsgi.server(
        door,
        web.app,
        max_size=MAX_CONNECTIONS,
        log=logging.getLogger("web.access"),
        log_output=False,
        debug=False,
        socket_timeout=IDLE,
    )


def _front_door(web: Web, listening: socket.socket) -> Door | None:
    if not web.settings.jobcast_front_door:
        logger.info("no front door, WebSockets go the stock way")
        return None
    handshake = float(web.settings.jobcast_handshake_seconds)
    return build_door(web.socketio.server, web.app, listening, web.outbox, handshake)


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
    """Let nobody in, tell everybody, see them out, end."""
    logger.info("stopping")
    eventlet.spawn_after(DEADLINE, os._exit, 0)
    door.close()
    say_restarting(web)
    eventlet.sleep(TELL)
    _see_out(web)
    logging.shutdown()
    os._exit(0)


def _see_out(web: Web) -> None:
    """Close a few at a time; their handlers run, and they do not all come back at once.

    Without a CLOSE packet, after which some clients would not come back by themselves.
    """
    sockets = web.socketio.server.eio.sockets
    rounds = max(1, int(DRAIN / 0.1))
    share = len(sockets) // rounds + 1
    for _ in range(rounds):
        for sid in list(sockets)[:share]:
            if gone := sockets.pop(sid, None):
                gone.close(wait=False, abort=True)
        eventlet.sleep(0.1)
        if not sockets:
            return


def say_restarting(web: Web) -> None:
    """Give each client a moment of its own to come back at."""
    server = web.socketio.server
    for namespace in ("/", "/default"):
        for sid, _ in server.manager.get_participants(namespace, None):
            message = ServerRestarting(retry_after_ms=random.randint(100, RETURN_WITHIN))  # noqa: S311
            server.emit("server:restarting", message.wire(), namespace=namespace, to=sid, ignore_queue=True)


def _forever(loop: Callable[[Web], None], web: Web) -> None:
    while True:
        try:
            loop(web)
        except Exception:
            logger.exception("a background loop goes on after an error")
            eventlet.sleep(1)


def _release_loop(web: Web) -> None:
    web.fanout.serve_those_behind()
    due = web.fanout.debouncer.next_due()
    eventlet.sleep(TICK if due is None else min(max(due, 0.001), TICK))
    web.fanout.release_due()


def _compare_loop(web: Web) -> None:
    eventlet.sleep(COMPARE_EVERY * random.uniform(0.8, 1.2))  # noqa: S311
    if web.manager.listener.listening:
        web.fanout.resync()


def _pulse_loop(web: Web) -> None:
    web.pulse.beat(eventlet.sleep)


def _poll_check_loop(web: Web) -> None:
    """Part with stock clients, those that poll, that went without a word."""
    engine = web.socketio.server.eio
    eventlet.sleep(min(CHECK_POLLS_EVERY, engine.ping_interval))
    sockets = engine.sockets
    for sid, found in list(sockets.items()):
        if type(found) is not WebSocketClient and (found.closed or not found.check_ping_timeout()):
            sockets.pop(sid, None)


def _sweep_loop(web: Web) -> None:
    eventlet.sleep(web.settings.lease_seconds / 2 * random.uniform(0.8, 1.2))  # noqa: S311
    web.sweeper.sweep()


def _retire_loop(web: Web) -> None:
    eventlet.sleep(RETIRE_EVERY * random.uniform(0.8, 1.2))  # noqa: S311
    web.retirement.look()
