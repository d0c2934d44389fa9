"""``Jobcast(app)``: the browser half in a Flask application.

It adds its own namespaces to the application's Socket.IO server and its own routes below a prefix. The
application's routes, error handlers, namespaces and rooms stay as they are.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from typing import Any, Final

from flask import Blueprint, Flask
from flask_socketio import SocketIO

from jobcast.flask.analytics import analytics_blueprint
from jobcast.flask.dashboard import dashboard_blueprint
from jobcast.flask.every_answer import EveryAnswer
from jobcast.flask.handshake_limit import HandshakeLimit
from jobcast.flask.headers import add_headers
from jobcast.flask.identity import ApplicationIdentity, Identify, LoopbackOnly
from jobcast.flask.ids import ID, IdConverter
from jobcast.flask.jobs import jobs_blueprint
from jobcast.flask.notifications import notifications_blueprint
from jobcast.flask.openapi import Description, openapi
from jobcast.flask.origins import IsAllowed, host_check, origin_check
from jobcast.flask.polling_sessions import PollingSessions
from jobcast.flask.problems import Target, register_problems
from jobcast.flask.rate_limit import limit_requests
from jobcast.flask.request_ids import add_request_ids, origin_of_request
from jobcast.flask.system import system_blueprint
from jobcast.flask.trusted_hosts import TrustedHosts
from jobcast.ledger.outcome import NoTasks, Tasks
from jobcast.server import audit, background
from jobcast.server.attach import Options, Server, attach
from jobcast.server.authentication import IdentityProvider
from jobcast.server.authorization import Identity
from jobcast.server.protocol.packets import StrictPacket
from jobcast.server.settings import ServerSettings
from jobcast.topics import Topic

#: Where the routes are, unless told.
PREFIX: Final = "/jobcast"


class Jobcast:
    """The browser half for an application.

    ``socketio``: the application's Flask-SocketIO, whose ``init_app`` may have been called or will be; one is
    made where there is none, and is then ``jobcast.socketio``. ``settings``: default: from the environment.
    ``tasks``: the queue, for cancelling what waits. ``identify(request)`` returns an Identity, a user's id or
    None; without it tokens say who somebody is, and without a key only this machine is served.
    ``authorise(identity, topic)`` returns True, False, or None for the usual decision.
    """

    def __init__(
        self,
        app: Flask | None = None,
        socketio: SocketIO | None = None,
        *,
        settings: ServerSettings | None = None,
        tasks: Tasks | None = None,
        identify: Identify | None = None,
        authorise: Callable[[Identity, Topic], bool | None] | None = None,
        url_prefix: str = PREFIX,
    ) -> None:
        self.socketio = socketio
        self._settings = settings
        self._tasks = tasks
        self._identify = identify
        self._authorise = authorise
        self._prefix = url_prefix.rstrip("/")
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask, socketio: SocketIO | None = None) -> None:
        """Put it into this application; raise InvalidSetting.

        Its parts are ``app.extensions["jobcast"]``, a ``jobcast.server.attach.Server``: now, or when the
        application has called ``socketio.init_app``.
        """
        settings = self._settings or ServerSettings.from_environment()
        settings.require_redis()
        given = socketio or self.socketio
        if given is None or app.extensions.get("socketio") is given:
            self.socketio = given or SocketIO()
            self._add_to(app, self.socketio, settings)
        else:
            self.socketio = given
            _when_initialised(given, app, lambda: self._add_to(app, given, settings))

    def _add_to(self, app: Flask, socketio: SocketIO, settings: ServerSettings) -> None:
        knows_users = self._identify is not None or settings.has_key
        is_allowed = origin_check(settings, knows_users=knows_users)
        server = add_server(
            app,
            socketio,
            settings,
            is_allowed,
            identity=self._identity(app, settings, is_allowed),
            decide=self._authorise,
            tasks=self._tasks,
        )
        add_routes(app, server, is_allowed, prefix=self._prefix)
        app.wsgi_app = _Starting(app.wsgi_app, server)  # type: ignore[method-assign]

    def _identity(
        self, app: Flask, settings: ServerSettings, is_allowed: IsAllowed
    ) -> IdentityProvider | None:
        if self._identify is not None:
            return ApplicationIdentity(app, self._identify, is_allowed)
        return None if settings.has_key else LoopbackOnly(is_allowed)


def _when_initialised(socketio: SocketIO, app: Flask, act: Callable[[], None]) -> None:
    """Act when the application has called ``socketio.init_app(app)``, which makes its server."""
    init_app = socketio.init_app

    def init_and_act(given: Flask | None, **options: Any) -> None:
        init_app(given, **options)
        if given is app:
            socketio.init_app = init_app
            act()

    socketio.init_app = init_and_act


def add_server(
    app: Flask,
    socketio: SocketIO,
    settings: ServerSettings,
    is_allowed: IsAllowed,
    *,
    identity: IdentityProvider | None = None,
    decide: Callable[[Identity, Topic], bool | None] | None = None,
    tasks: Tasks | None = None,
    owns_app: bool = False,
    **engine: Any,
) -> Server:
    """Attach to the application's Socket.IO server, which is made if there is none yet.

    ``engine``: more options of a server that is made. ``owns_app``: ``/`` asks for identities, too.
    """
    if app.extensions.get("socketio") is not socketio:
        socketio.init_app(app, **_engine_options(settings, is_allowed) | engine)
    options = Options(identity, decide, tasks or NoTasks(), owns_root=owns_app)
    server = attach(socketio.server, settings, options)
    path = socketio.sockio_mw.engineio_path
    app.wsgi_app = HandshakeLimit(  # type: ignore[method-assign]
        app.wsgi_app, server.connections, server.addresses, server.tarpit, path
    )
    app.wsgi_app = PollingSessions(  # type: ignore[method-assign]
        app.wsgi_app,
        lambda sid: server.socketio.environ.get(sid),  # the front door puts another mapping there
        server.addresses,
        path,
        binds=settings.jobcast_bind_polling,
    )
    if not owns_app:
        app.wsgi_app = EveryAnswer(app.wsgi_app, is_allowed, path)  # type: ignore[method-assign]
    audit.start(
        settings.jobcast_audit,
        keyed=not server.services.authenticator.is_open,
        address_of=server.addresses.behind_proxies,
        request=origin_of_request,
    )
    app.extensions["jobcast"] = server
    return server


def add_routes(
    app: Flask,
    server: Server,
    is_allowed: IsAllowed,
    *,
    prefix: str = "",
    owns_app: bool = False,
    more: Description | None = None,
) -> None:
    """Add the polling routes; their rules hold for them alone, or for an app that is all ours."""
    routes = Blueprint("jobcast", __name__, url_prefix=prefix or None)
    app.url_map.converters[ID] = IdConverter
    _add_rules(app if owns_app else routes, server, is_allowed)
    for blueprint in (
        jobs_blueprint(server.services),
        notifications_blueprint(server.services),
        analytics_blueprint(server.services),
        dashboard_blueprint(),
        system_blueprint(
            server.services,
            server.readiness,
            server.registry,
            lambda: openapi(more, prefix),
        ),
    ):
        routes.register_blueprint(blueprint)
    app.register_blueprint(routes)
    if owns_app and server.services.authenticator.is_open:
        app.wsgi_app = TrustedHosts(  # type: ignore[method-assign]
            app.wsgi_app, host_check(server.settings), is_allowed
        )
    if owns_app:
        app.wsgi_app = EveryAnswer(app.wsgi_app, is_allowed, "/")  # type: ignore[method-assign]


def _add_rules(target: Target, server: Server, is_allowed: IsAllowed) -> None:
    register_problems(target)
    limit_requests(target, server.services, server.addresses, server.tarpit)
    add_request_ids(target)
    add_headers(target, is_allowed)


def _engine_options(settings: ServerSettings, is_allowed: IsAllowed) -> dict[str, Any]:
    return {
        "async_handlers": False,  # otherwise unsubscribe may overtake subscribe
        "cors_allowed_origins": is_allowed,
        "manage_session": False,
        "ping_interval": settings.jobcast_ping_interval,
        "ping_timeout": settings.jobcast_ping_timeout,
        "max_http_buffer_size": settings.jobcast_limit_message_bytes,
        "serializer": StrictPacket,
    }


class _Starting:
    """WSGI middleware: starts the loops with a process's first request, after any fork before it."""

    def __init__(self, app: Any, server: Server) -> None:
        self._app = app
        self._server = server
        self._starting = threading.Lock()
        self._started_in = 0

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if self._started_in != os.getpid():
            with self._starting:
                if self._started_in != os.getpid():
                    self._started_in = os.getpid()
                    background.start(self._server)
        answer: Iterable[bytes] = self._app(environ, start_response)
        return answer
