"""The application factory: settings and a ledger in, a Flask app and its Socket.IO server out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from flask import Flask
from flask_socketio import SocketIO
from prometheus_client import CollectorRegistry
from werkzeug.middleware.proxy_fix import ProxyFix

from jobcast import Settings
from jobcast.broadcaster import ledger_from
from jobcast.celery import make_celery
from jobcast.ledger import Ledger
from jobcast.ledger.cluster import Cluster
from jobcast.ledger.redis import connect
from web import audit
from web.addresses import addresses_of
from web.dashboard import dashboard_blueprint
from web.fanout.acks import note_acks
from web.fanout.channels import Channels
from web.fanout.door.outbox import Outbox
from web.fanout.fanout import Fanout
from web.fanout.manager import FanoutManager
from web.fanout.outlets import guard_queues
from web.fanout.shards import Shards
from web.fanout.strict import StrictPacket, guard_packets
from web.fanout.subscriptions import Subscriptions
from web.gate import Gate
from web.headers import add_headers
from web.jobs import Jobs
from web.limits import Connections
from web.metrics import FanoutCollector, make_registry
from web.namespaces import (
    AnalyticsNamespace,
    DefaultNamespace,
    JobsNamespace,
    NotificationsNamespace,
)
from web.neighbours import Neighbours
from web.origins import IsAllowed, host_check, origin_check
from web.problems import register_problems
from web.pulse import Pulse
from web.queue import Queue
from web.request_ids import add_request_ids
from web.requests import limit_requests
from web.retirement import Retirement
from web.revocation import Revocations
from web.routes.analytics import analytics_blueprint
from web.routes.jobs import jobs_blueprint
from web.routes.notifications import notifications_blueprint
from web.routes.system import system_blueprint
from web.services import Services
from web.sessions import Sessions
from web.subscribing import Subscriber
from web.sweeper import Sweeper
from web.tarpit import Tarpit
from web.tidying import Tidying
from web.turnstile import HandshakeLimit, Turnstile


@dataclass(frozen=True, slots=True)
class Web:
    """A web process's parts, for the server entry to run."""

    app: Flask
    socketio: SocketIO
    manager: FanoutManager
    fanout: Fanout
    subscriptions: Subscriptions
    ledger: Ledger
    queue: Queue
    pulse: Pulse
    outbox: Outbox
    sweeper: Sweeper
    retirement: Retirement
    tidying: Tidying
    sessions: Sessions
    turnstile: Turnstile
    settings: Settings


def create_app(settings: Settings) -> Web:
    """Wire everything together; nothing is connected or started yet."""
    ledger = ledger_from(settings)
    queue = Queue(make_celery(settings))
    jobs = Jobs(ledger, queue)
    revocations = Revocations(settings.store_url)
    services = Services(settings, ledger, Gate(settings, revocations), jobs)
    addresses = addresses_of(settings)
    audit.start(settings.jobcast_audit, keyed=not services.gate.is_open, address_of=addresses.behind_proxies)
    is_allowed = origin_check(settings)
    app = _flask_app(settings)
    channels = _channels(settings)
    subscriptions = Subscriptions(on_unused=channels.leave)
    outbox = Outbox(pause=lambda: socketio.sleep(0))
    fanout = Fanout(subscriptions, ledger, settings.debounce_seconds, outbox)
    manager = FanoutManager(settings.store_url, channels, fanout, subscriptions)
    socketio = _socketio(app, manager, settings, is_allowed)
    connections = Connections(settings)
    sessions = Sessions(socketio.server, connections, revocations)
    limit = settings.jobcast_limit_subscriptions
    subscriber = Subscriber(socketio.server, subscriptions, fanout, ledger, channels, limit)
    _add_namespaces(socketio, services, subscriber, sessions)
    turnstile = _add_limits(app, socketio, services, connections, sessions)
    if services.gate.is_open:
        app.wsgi_app = Neighbours(  # type: ignore[method-assign]
            app.wsgi_app, host_check(settings), is_allowed
        )
    pulse = Pulse()
    registry = make_registry(
        FanoutCollector(
            fanout, subscriptions, manager.listener, lambda: socketio.server.eio.sockets, lambda: pulse.lag
        )
    )
    _add_routes(app, services, manager, registry)
    add_request_ids(app)
    add_headers(app, is_allowed)
    sweeper = Sweeper(ledger, settings.lease_seconds, queue.outcome)
    retirement = Retirement(subscriptions, ledger, settings.jobcast_retention_seconds)
    return Web(
        app,
        socketio,
        manager,
        fanout,
        subscriptions,
        ledger,
        queue,
        pulse,
        outbox,
        sweeper,
        retirement,
        Tidying(),
        sessions,
        turnstile,
        settings,
    )


def _channels(settings: Settings) -> Channels | Shards:
    if settings.is_sharded:
        return Shards(cast(Cluster, connect(settings.store_url)), settings.socketio_channel)
    return Channels(settings.socketio_channel, per_topic=settings.jobcast_channels == "topic")


def _flask_app(settings: Settings) -> Flask:
    app = Flask("web", static_folder=None)
    if hops := settings.jobcast_proxy_hops:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops)  # type: ignore[method-assign]
    app.config["MAX_CONTENT_LENGTH"] = settings.jobcast_max_body_bytes
    register_problems(app)
    return app


def _socketio(app: Flask, manager: FanoutManager, settings: Settings, is_allowed: IsAllowed) -> SocketIO:
    # The manager is given to init_app: a channel given to SocketIO() would be lost there.
    socketio = SocketIO()
    socketio.init_app(
        app,
        client_manager=manager,
        async_mode=settings.socketio_async_mode,
        async_handlers=False,  # otherwise unsubscribe may overtake subscribe
        cors_allowed_origins=is_allowed,
        manage_session=False,
        ping_interval=settings.jobcast_ping_interval,
        ping_timeout=settings.jobcast_ping_timeout,
        max_http_buffer_size=settings.jobcast_limit_message_bytes,
        serializer=StrictPacket,
        transports=["websocket"] if settings.shares_port else None,  # a poll might reach another process
        monitor_clients=False,  # web.fanout.door does, for everybody in one loop
    )
    note_acks(socketio.server)
    guard_queues(socketio.server)
    guard_packets(socketio.server)
    return socketio


def _add_namespaces(
    socketio: SocketIO, services: Services, subscriber: Subscriber, sessions: Sessions
) -> None:
    for namespace in (
        JobsNamespace(services, subscriber, sessions),
        NotificationsNamespace(services, subscriber, sessions),
        AnalyticsNamespace(services, subscriber, sessions),
        DefaultNamespace("/", services, subscriber, sessions),
        DefaultNamespace("/default", services, subscriber, sessions),
    ):
        socketio.on_namespace(namespace)


def _add_limits(
    app: Flask, socketio: SocketIO, services: Services, connections: Connections, sessions: Sessions
) -> Turnstile:
    settings = services.settings
    addresses = addresses_of(settings)
    turnstile = Turnstile(socketio.server, connections, sessions, addresses)
    tarpit = Tarpit(socketio.sleep)
    limit_requests(app, services, addresses, tarpit)
    app.wsgi_app = HandshakeLimit(  # type: ignore[method-assign]
        app.wsgi_app, connections, addresses, tarpit
    )
    return turnstile


def _add_routes(app: Flask, services: Services, manager: FanoutManager, registry: CollectorRegistry) -> None:
    app.register_blueprint(jobs_blueprint(services))
    app.register_blueprint(notifications_blueprint(services))
    app.register_blueprint(analytics_blueprint(services))
    app.register_blueprint(system_blueprint(services, lambda: manager.listening, registry))
    app.register_blueprint(dashboard_blueprint())
