"""A server on gevent, for applications that are on it anyway: WSGI and WebSockets by gevent's own server."""

from __future__ import annotations

import logging
import os
import signal
import socket
from collections.abc import Callable

import gevent
import gevent.event
from gevent.pywsgi import WSGIServer

from jobcast.errors import InvalidSetting
from jobcast.server import background
from jobcast.server.run.application import Application
from jobcast.server.run.shutdown import STOP_TIMEOUT, stop
from jobcast.server.run.threading_server import bind
from jobcast.server.settings import ServerSettings

logger = logging.getLogger(__name__)


def prepare(settings: ServerSettings, create_app: Callable[[], Application]) -> Callable[[], None]:
    """Take the port and make the application; returns what serves it. Raises InvalidSetting."""
    if settings.shares_port:
        raise InvalidSetting("WEB_CONCURRENCY", "several processes on one port need eventlet")
    listening = bind(settings)
    application = create_app()
    return lambda: _serve(application, listening)


def _serve(application: Application, listening: socket.socket) -> None:
    server = WSGIServer(listening, application.app, log=None)
    background.start(application.server)
    _stop_on_signals(application, server)
    logger.info("serving on http://%s:%s, on gevent", *listening.getsockname()[:2])
    server.serve_forever()
    gevent.event.Event().wait()  # until those who are connected were seen out


def _stop_on_signals(application: Application, server: WSGIServer) -> None:
    def handle() -> None:
        gevent.spawn_later(STOP_TIMEOUT, os._exit, 0)
        stop(application.server, server, gevent.sleep)

    for signum in (signal.SIGTERM, signal.SIGINT):
        gevent.signal_handler(signum, handle)  # in a greenlet, where one may wait
