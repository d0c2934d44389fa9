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
from jobcast.flask.analytics import analytics_blueprint
from jobcast.flask.headers import add_headers
from jobcast.flask.jobs import jobs_blueprint
from jobcast.flask.notifications import notifications_blueprint
from jobcast.flask.origins import IsAllowed, host_check, origin_check
from jobcast.flask.problems import register_problems
from jobcast.flask.rate_limit import limit_requests
from jobcast.flask.request_ids import add_request_ids
from jobcast.flask.system import system_blueprint
from jobcast.flask.trusted_hosts import TrustedHosts
from jobcast.ledger import Ledger
from jobcast.ledger.cluster import Cluster
from jobcast.ledger.redis import connect
from jobcast.ledger.sweeper import Sweeper
from jobcast.server import audit
from jobcast.server.authentication import Authenticator
from jobcast.server.client_address import addresses_of
from jobcast.server.connection_limits import ConnectionRegistry
from jobcast.server.delivery.fanout import Fanout
from jobcast.server.delivery.subscription_expiry import SubscriptionExpiry
from jobcast.server.delivery.subscriptions import Subscriptions
from jobcast.server.delivery.write_batch import WriteBatch
from jobcast.server.loop_lag import LoopLag
from jobcast.server.metrics import FanoutCollector, make_registry
from jobcast.server.namespaces import (
    AnalyticsNamespace,
    DefaultNamespace,
    JobsNamespace,
    NotificationsNamespace,
)
from jobcast.server.redis.channels import Channels
from jobcast.server.redis.shards import Shards
from jobcast.server.revocation import Revocations
from jobcast.server.services import Services
from jobcast.server.sessions import Sessions
from jobcast.server.socketio.acks import note_acks
from jobcast.server.socketio.engineio_hooks import EngineIOHooks, HandshakeLimit
from jobcast.server.socketio.manager import FanoutManager
from jobcast.server.socketio.packet_guard import StrictPacket, guard_packets
from jobcast.server.socketio.transports import guard_queues
from jobcast.server.subscribing import Subscriber
from jobcast.server.tarpit import Tarpit
from web.dashboard import dashboard_blueprint
from web.gc_freeze import GcFreeze
from web.publishing import Jobs
from web.queue import Queue


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
    loop_lag: LoopLag
    write_batch: WriteBatch
    sweeper: Sweeper
    subscription_expiry: SubscriptionExpiry
    gc_freeze: GcFreeze
    sessions: Sessions
    engineio_hooks: EngineIOHooks
    settings: Settings


def create_app(settings: Settings) -> Web:
    """Wire everything together; nothing is connected or started yet."""
    ledger = ledger_from(settings)
    queue = Queue(make_celery(settings))
    jobs = Jobs(ledger, queue)
    revocations = Revocations(settings.store_url)
    services = Services(settings, ledger, Authenticator(settings, revocations), jobs)
    addresses = addresses_of(settings)
    audit.start(
        settings.jobcast_audit, keyed=not services.authenticator.is_open, address_of=addresses.behind_proxies
    )
    is_allowed = origin_check(settings)
    app = _flask_app(settings)
    channels = _channels(settings)
    subscriptions = Subscriptions(on_unused=channels.leave)
    write_batch = WriteBatch(pause=lambda: socketio.sleep(0))
    fanout = Fanout(subscriptions, ledger, settings.debounce_seconds, write_batch)
    manager = FanoutManager(settings.store_url, channels, fanout, subscriptions)
    socketio = _socketio(app, manager, settings, is_allowed)
    connections = ConnectionRegistry(settings)
    sessions = Sessions(socketio.server, connections, revocations)
    limit = settings.jobcast_limit_subscriptions
    subscriber = Subscriber(socketio.server, subscriptions, fanout, ledger, channels, limit)
    _add_namespaces(socketio, services, subscriber, sessions)
    engineio_hooks = _add_limits(app, socketio, services, connections, sessions)
    if services.authenticator.is_open:
        app.wsgi_app = TrustedHosts(  # type: ignore[method-assign]
            app.wsgi_app, host_check(settings), is_allowed
        )
    loop_lag = LoopLag()
    registry = make_registry(
        FanoutCollector(
            fanout, subscriptions, manager.listener, lambda: socketio.server.eio.sockets, lambda: loop_lag.lag
        )
    )
    _add_routes(app, services, manager, registry)
    add_request_ids(app)
    add_headers(app, is_allowed)
    sweeper = Sweeper(ledger, settings.lease_seconds, queue.outcome)
    subscription_expiry = SubscriptionExpiry(subscriptions, ledger, settings.jobcast_retention_seconds)
    return Web(
        app,
        socketio,
        manager,
        fanout,
        subscriptions,
        ledger,
        queue,
        loop_lag,
        write_batch,
        sweeper,
        subscription_expiry,
        GcFreeze(),
        sessions,
        engineio_hooks,
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
        monitor_clients=False,  # jobcast.server.websocket does, for everybody in one loop
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
    app: Flask, socketio: SocketIO, services: Services, connections: ConnectionRegistry, sessions: Sessions
) -> EngineIOHooks:
    settings = services.settings
    addresses = addresses_of(settings)
    engineio_hooks = EngineIOHooks(socketio.server, connections, sessions, addresses)
    tarpit = Tarpit(socketio.sleep)
    limit_requests(app, services, addresses, tarpit)
    app.wsgi_app = HandshakeLimit(  # type: ignore[method-assign]
        app.wsgi_app, connections, addresses, tarpit
    )
    return engineio_hooks


def _add_routes(app: Flask, services: Services, manager: FanoutManager, registry: CollectorRegistry) -> None:
    app.register_blueprint(jobs_blueprint(services))
    app.register_blueprint(notifications_blueprint(services))
    app.register_blueprint(analytics_blueprint(services))
    app.register_blueprint(system_blueprint(services, lambda: manager.listening, registry))
    app.register_blueprint(dashboard_blueprint())
