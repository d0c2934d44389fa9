"""The application factory: settings in, this deployment's Flask app and its server out."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Flask
from flask_socketio import SocketIO
from werkzeug.middleware.proxy_fix import ProxyFix

from jobcast.celery import make_celery
from jobcast.celery.queue import TaskQueue
from jobcast.flask.extension import add_routes, add_server
from jobcast.flask.openapi import Description
from jobcast.flask.origins import origin_check
from jobcast.models import WireModel
from jobcast.server.attach import Server
from web.dashboard import dashboard_blueprint
from web.publishing import Publishing
from web.request_models import PublishForm, SyncForm
from web.routes import ROUTES, publishing_blueprint
from web.settings import WebSettings


@dataclass(frozen=True, slots=True)
class Web:
    """A web process's parts, for the server entry to run."""

    app: Flask
    socketio: SocketIO
    server: Server
    settings: WebSettings


def create_app(settings: WebSettings) -> Web:
    """Wire everything together; nothing is connected or started yet."""
    queue = TaskQueue(make_celery(settings))
    app = _flask_app(settings)
    socketio = SocketIO()
    is_allowed = origin_check(settings)
    server = add_server(
        app,
        socketio,
        settings,
        is_allowed,
        tasks=queue,
        owns_app=True,
        async_mode=settings.socketio_async_mode,
        transports=["websocket"] if settings.shares_port else None,  # a poll might reach another process
        monitor_clients=False,  # jobcast.server.websocket does, for everybody in one loop
    )
    forms: dict[str, tuple[type[WireModel], str]] = {
        "PublishRequest": (PublishForm, "calendar"),
        "SyncRequest": (SyncForm, "export"),
    }
    add_routes(app, server, is_allowed, owns_app=True, more=Description(ROUTES, forms))
    publishing = Publishing(server.ledger, queue)
    most = settings.jobcast_csv_max_bytes
    app.register_blueprint(publishing_blueprint(server.services, publishing, most))
    app.register_blueprint(dashboard_blueprint())
    return Web(app, socketio, server, settings)


def _flask_app(settings: WebSettings) -> Flask:
    app = Flask("web", static_folder=None)
    if hops := settings.jobcast_proxy_hops:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops)  # type: ignore[method-assign]
    app.config["MAX_CONTENT_LENGTH"] = settings.jobcast_max_body_bytes
    return app
