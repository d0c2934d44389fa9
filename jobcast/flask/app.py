"""A Flask application that is the browser half and nothing else; a deployment adds its own routes to it."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Flask
from flask_socketio import SocketIO
from werkzeug.middleware.proxy_fix import ProxyFix

from jobcast.flask.extension import add_routes, add_server
from jobcast.flask.openapi import Description
from jobcast.flask.origins import origin_check
from jobcast.ledger.outcome import Tasks
from jobcast.server.attach import Server
from jobcast.server.settings import ServerSettings


@dataclass(frozen=True, slots=True)
class Web:
    """A server process's parts, for ``jobcast.server.run``."""

    app: Flask
    socketio: SocketIO
    server: Server


def create_app(
    settings: ServerSettings,
    *,
    name: str,
    max_body_bytes: int,
    tasks: Tasks | None = None,
    more: Description | None = None,
) -> Web:
    """Wire everything together; nothing is connected or started yet. Raises InvalidSetting.

    ``tasks``: the queue, for cancelling what waits. ``more``: routes that are added later, described.
    """
    app = Flask(name, static_folder=None)
    if hops := settings.jobcast_proxy_hops:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops)  # type: ignore[method-assign]
    app.config["MAX_CONTENT_LENGTH"] = max_body_bytes
    socketio = SocketIO()
    is_allowed = origin_check(settings)
    server = add_server(
        app,
        socketio,
        settings,
        is_allowed,
        tasks=tasks,
        owns_app=True,
        async_mode=settings.socketio_async_mode,
        transports=["websocket"] if settings.shares_port else None,  # a poll might reach another process
        # On eventlet jobcast.server.websocket does, for everybody in one loop.
        monitor_clients=settings.socketio_async_mode != "eventlet",
    )
    add_routes(app, server, is_allowed, owns_app=True, more=more)
    return Web(app, socketio, server)
