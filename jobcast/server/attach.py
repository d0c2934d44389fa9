"""The browser half put onto a Socket.IO server: its parts, and all that is changed of the server.

The changes, in the order in which they are made, each in the room that is allowed below public surfaces:

 1. ``manager``: listens to the ledger's channel and to stock emits     ``socketio.manager``
 2. ``packet_class``: what is no packet is a ``BadPacket``              ``protocol.packets``
 3. ``_handle_event``, ``_handle_event_internal``: order, and acks      ``socketio.acks``
 4. ``_send_eio_packet``: a bound on what waits for a client            ``socketio.transports``
 5. Engine.IO's ``message`` and ``handle_request``: bad packets close   ``socketio.packet_guard``
 6. the namespaces of the contract                                      ``namespaces``
 7. Engine.IO's ``connect``, ``message``, ``disconnect``: limits        ``socketio.engineio_hooks``
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

import socketio
from prometheus_client import CollectorRegistry
from socketio.packet import Packet

from jobcast.broadcaster import ledger_from
from jobcast.envelope import Cut
from jobcast.errors import InvalidSetting
from jobcast.ledger import Ledger
from jobcast.ledger.cluster import Cluster
from jobcast.ledger.connection import connect
from jobcast.ledger.outcome import NoTasks, Tasks
from jobcast.ledger.sweeper import Sweeper
from jobcast.server.authentication import Authenticator, IdentityProvider
from jobcast.server.authorization import Authorizer, Identity
from jobcast.server.client_address import Addresses, addresses_of
from jobcast.server.connection_limits import ConnectionRegistry, inbound_budget_of
from jobcast.server.delivery.fanout import Fanout
from jobcast.server.delivery.resync import Resync
from jobcast.server.delivery.subscription_expiry import SubscriptionExpiry
from jobcast.server.delivery.subscriptions import Subscriptions
from jobcast.server.delivery.threads import ThreadedDebouncer, ThreadedFanout, ThreadedSubscriptions
from jobcast.server.delivery.write_batch import WriteBatch
from jobcast.server.job_control import JobControl
from jobcast.server.loop_lag import LoopLag
from jobcast.server.metrics import FanoutCollector, make_registry
from jobcast.server.namespaces import (
    AnalyticsNamespace,
    DefaultNamespace,
    GreetingNamespace,
    JobsNamespace,
    NotificationsNamespace,
)
from jobcast.server.protocol.packets import StrictPacket
from jobcast.server.readiness import Readiness
from jobcast.server.redis.channels import Channels
from jobcast.server.redis.shards import Shards
from jobcast.server.revocation import Revocations
from jobcast.server.services import Services
from jobcast.server.sessions import Sessions
from jobcast.server.settings import ServerSettings
from jobcast.server.socketio.acks import keep_order, note_acks
from jobcast.server.socketio.engineio_hooks import EngineIOHooks
from jobcast.server.socketio.manager import FanoutManager
from jobcast.server.socketio.packet_guard import guard_packets
from jobcast.server.socketio.transports import guard_queues
from jobcast.server.subscribing import Subscriber
from jobcast.server.tarpit import Tarpit
from jobcast.topics import KINDS, Topic


@dataclass(frozen=True, slots=True)
class Options:
    """How an application wants the browser half.

    ``identity``: who somebody is; default: by token, from the settings. ``decide``: whether an identity may
    see a topic; None, returned or given, leaves it to the contract. ``tasks``: the task queue, such as a
    ``jobcast.celery.TaskQueue``. ``owns_root``: whether ``/`` asks for identities, too; an application that
    has handlers of its own there goes without.
    """

    identity: IdentityProvider | None = None
    decide: Callable[[Identity, Topic], bool | None] | None = None
    tasks: Tasks = field(default_factory=NoTasks)
    owns_root: bool = False


@dataclass(frozen=True, slots=True)
class Server:
    """The parts of the browser half in one process; nothing runs before ``background.start``."""

    socketio: socketio.Server
    settings: ServerSettings
    ledger: Ledger
    services: Services
    manager: FanoutManager
    fanout: Fanout
    resync: Resync
    subscriptions: Subscriptions
    write_batch: WriteBatch
    sessions: Sessions
    connections: ConnectionRegistry
    addresses: Addresses
    tarpit: Tarpit
    hooks: EngineIOHooks
    sweeper: Sweeper
    subscription_expiry: SubscriptionExpiry
    loop_lag: LoopLag
    registry: CollectorRegistry
    readiness: Readiness


def attach(server: socketio.Server, settings: ServerSettings, options: Options | None = None) -> Server:
    """Put the browser half onto a Socket.IO server, before its first client; raises InvalidSetting."""
    options = options or Options()
    if server.packet_class not in (Packet, StrictPacket):
        raise InvalidSetting("serializer", "events travel as JSON: leave it at the default")
    ledger = ledger_from(settings)
    revocations = Revocations(settings.store_url)
    services = Services(
        settings,
        ledger,
        options.identity or Authenticator(settings, revocations),
        Authorizer(ledger.belongs_to, options.decide),
        JobControl(ledger, options.tasks.revoke),
    )
    channels = _channels(settings)
    write_batch = WriteBatch(pause=lambda: server.sleep(0))
    subscriptions, fanout = _delivery(server, settings, channels, write_batch)
    resync = Resync(fanout, subscriptions, ledger)
    connections = ConnectionRegistry(settings)
    manager = FanoutManager(settings.store_url, channels, fanout, resync, subscriptions, connections)
    manager.take_over(server)
    server.packet_class = StrictPacket
    note_acks(server)
    keep_order(server, frozenset(kind.namespace for kind in KINDS.values()))
    guard_queues(server)
    guard_packets(server, inbound_budget_of(settings))
    sessions = Sessions(server, connections, revocations)
    subscriber = Subscriber(
        server,
        subscriptions,
        fanout,
        ledger,
        services.authorizer,
        channels,
        settings.jobcast_limit_subscriptions,
    )
    _add_namespaces(server, services, subscriber, sessions, owns_root=options.owns_root)
    addresses = addresses_of(settings)
    hooks = EngineIOHooks(server, connections, sessions, addresses)
    loop_lag = LoopLag()
    collector = FanoutCollector(
        fanout, subscriptions, manager.listener, lambda: server.eio.sockets, lambda: loop_lag.lag
    )
    return Server(
        socketio=server,
        settings=settings,
        ledger=ledger,
        services=services,
        manager=manager,
        fanout=fanout,
        resync=resync,
        subscriptions=subscriptions,
        write_batch=write_batch,
        sessions=sessions,
        connections=connections,
        addresses=addresses,
        tarpit=Tarpit(server.sleep),
        hooks=hooks,
        sweeper=Sweeper(ledger, settings.lease_seconds, options.tasks.outcome),
        subscription_expiry=SubscriptionExpiry(subscriptions, ledger, settings.jobcast_retention_seconds),
        loop_lag=loop_lag,
        registry=make_registry(collector),
        readiness=Readiness(
            ledger,
            manager.listener,
            lambda: manager.listening,
            is_shared=settings.jobcast_channels == "shared",
        ),
    )


def _delivery(
    server: socketio.Server,
    settings: ServerSettings,
    channels: Channels | Shards,
    write_batch: WriteBatch,
) -> tuple[Subscriptions, Fanout]:
    """With locks where clients have threads; greenlets do without."""
    interval = settings.debounce_seconds
    if server.async_mode == "threading":
        threaded = ThreadedSubscriptions(on_unused=channels.leave)
        debouncer: ThreadedDebouncer[str, Cut] = ThreadedDebouncer(interval)
        return threaded, ThreadedFanout(threaded, interval, write_batch, debouncer=debouncer)
    subscriptions = Subscriptions(on_unused=channels.leave)
    return subscriptions, Fanout(subscriptions, interval, write_batch)


def _channels(settings: ServerSettings) -> Channels | Shards:
    if settings.is_sharded:
        return Shards(cast(Cluster, connect(settings.store_url)), settings.socketio_channel)
    return Channels(settings.socketio_channel, per_topic=settings.jobcast_channels == "topic")


def _add_namespaces(
    server: socketio.Server,
    services: Services,
    subscriber: Subscriber,
    sessions: Sessions,
    *,
    owns_root: bool,
) -> None:
    for topics in (JobsNamespace, NotificationsNamespace, AnalyticsNamespace):
        server.register_namespace(topics(services, subscriber, sessions))
    for name in ("/", "/default"):
        if owns_root:
            server.register_namespace(DefaultNamespace(name, services, subscriber, sessions))
        elif name not in server.namespace_handlers:
            server.register_namespace(GreetingNamespace(name, services.settings))
