"""A server with a thread for each request and each WebSocket, for where there is no eventlet.

It is for hundreds of clients, not for thousands: each that is connected holds a thread.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from jobcast.errors import InvalidSetting
from jobcast.server import background
from jobcast.server.run.application import Application
from jobcast.server.run.shutdown import STOP_TIMEOUT, stop
from jobcast.server.settings import ServerSettings

logger = logging.getLogger(__name__)

#: Connections that may wait to be accepted.
BACKLOG: Final = 1024


class QuietHandler(WSGIRequestHandler):
    """Logs no line for each request: clients that poll would fill the log."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Do nothing."""


def prepare(settings: ServerSettings, create_app: Callable[[], Application]) -> Callable[[], None]:
    """Take the port and make the application; returns what serves it. Raises InvalidSetting."""
    if settings.shares_port:
        raise InvalidSetting("WEB_CONCURRENCY", "several processes on one port need eventlet")
    listening = bind(settings)
    application = create_app()
    return lambda: _serve(application, listening)


def bind(settings: ServerSettings) -> socket.socket:
    """The socket that listens on ``HOST`` and ``PORT``; raise InvalidSetting."""
    family = socket.AF_INET6 if ":" in settings.bind_host else socket.AF_INET
    try:
        return socket.create_server((settings.bind_host, settings.port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise InvalidSetting("PORT", f"{settings.port} cannot be used: {error.strerror}") from error


def _serve(application: Application, listening: socket.socket) -> None:
    host, port = listening.getsockname()[:2]
    server = make_server(
        host, port, application.app, threaded=True, request_handler=QuietHandler, fd=listening.fileno()
    )
    server.daemon_threads = True  # type: ignore[attr-defined]  # of the threaded server
    background.start(application.server)
    _stop_on_signals(application, _Listening(server, listening))
    logger.info("serving on http://%s:%s, a thread for each client", host, port)
    server.serve_forever()
    threading.Event().wait()  # until the thread that stops us has seen everybody out


class _Listening:
    """The listening socket, and werkzeug's copy of it; ``close`` lets nobody else in."""

    def __init__(self, server: BaseWSGIServer, listening: socket.socket) -> None:
        self._server = server
        self._listening = listening

    def close(self) -> None:
        self._server.shutdown()
        self._server.socket.close()
        self._listening.close()


def _stop_on_signals(application: Application, listening: _Listening) -> None:
    def handle(signum: int, frame: Any) -> None:
        # serve_forever runs in this thread and has to go on until it is told to end.
        threading.Thread(target=stop, args=(application.server, listening, time.sleep), daemon=True).start()
        threading.Timer(STOP_TIMEOUT, os._exit, (0,)).start()

    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, handle)
