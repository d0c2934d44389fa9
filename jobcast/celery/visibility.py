"""What becomes of the messages a worker holds when its connection, its broker or the worker itself goes away.

kombu's Redis transport keeps every message that was not acknowledged in a hash, and beside it the moment it
was reserved; any worker hands out what was reserved longer ago than the visibility timeout. Made longer than
the longest job, as Celery advises, that leaves what a killed worker had reserved lying for hours. Here the
timeout is short and means that the holder is gone: while a worker lives it renews the moment. And a worker
that lost only its connection gives back at once what it has not begun, and keeps what it runs
(docs/decisions/broker.md).

This leans on parts of kombu that are not public (``TOUCHED``). They are looked at before anything is
replaced; where one has moved, the worker goes on as Celery has it, with Celery's own long timeout.
"""

from __future__ import annotations

import contextlib
import inspect
import logging
import threading
import time
from collections.abc import Iterable
from typing import Any, Final

import redis
from celery import bootsteps
from celery.worker import state
from celery.worker.consumer.tasks import Tasks
from kombu.transport import redis as transport
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError, ReadOnlyError, RedisError, ResponseError
from redis.retry import Retry

logger = logging.getLogger(__name__)

#: Seconds between two renewals, at most; and how many of them fit into a visibility timeout, at least.
RENEW_EVERY: Final = 2.0
RENEWALS: Final = 5
#: Seconds a command of our own may take.
COMMAND_TIMEOUT: Final = 2.0


#: Seconds that Celery itself gives a message.
CELERY_TIMEOUT: Final = 3600
#: The methods of kombu's that are called or replaced, with the parameters they must have.
TOUCHED: Final[dict[tuple[type, str], tuple[str, ...]]] = {
    (transport.QoS, "ack"): ("self", "delivery_tag"),
    (transport.QoS, "restore_unacked"): ("self", "client"),
    (transport.QoS, "restore_by_tag"): ("self", "tag", "client"),
    (transport.QoS, "_remove_from_indices"): ("self", "delivery_tag", "pipe"),
    (transport.QoS, "_quick_ack"): (),
    (transport.Channel, "_connparams"): ("self",),
}
#: What an instance of each has besides.
ATTRIBUTES: Final = {
    "qos": ("_delivered", "_dirty", "unacked_index_key", "visibility_timeout"),
    "channel": ("qos", "visibility_timeout", "closed", "Client"),
}


def misfit(channel: Any) -> str | None:
    """What of kombu is not as it is known here; None when all is."""
    for (owner, name), parameters in TOUCHED.items():
        method = getattr(owner, name, None) or getattr(channel.qos, name, None)
        if method is None:
            return f"{owner.__name__}.{name} is gone"
        if parameters and tuple(inspect.signature(method).parameters)[: len(parameters)] != parameters:
            return f"{owner.__name__}.{name} takes other parameters"
    for name, owner in (("channel", channel), ("qos", channel.qos)):
        if missing := [attribute for attribute in ATTRIBUTES[name] if not hasattr(owner, attribute)]:
            return f"{name}.{missing[0]} is gone"
    if not isinstance(channel.qos._delivered, dict) or not isinstance(channel.qos._dirty, set):
        return "the messages of a channel are kept otherwise"
    return None


def fall_back(channel: Any, app: Any, reason: object) -> None:
    """Let this worker take messages for abandoned as late as Celery does."""
    if channel.visibility_timeout >= CELERY_TIMEOUT:
        return
    logger.error(
        "messages are not renewed while they are held, so they are given %d s, as by Celery: %s",
        *(CELERY_TIMEOUT, reason),
    )
    app.conf.broker_transport_options |= {"visibility_timeout": CELERY_TIMEOUT}
    for owner in (channel, channel.qos):
        owner.visibility_timeout = CELERY_TIMEOUT


class VisibilityStep(bootsteps.StartStopStep):
    """A step of the worker's consumer; it starts anew with every connection to the broker."""

    requires = (Tasks,)

    def __init__(self, consumer: Any, **options: Any) -> None:
        super().__init__(consumer, **options)
        self._holding: VisibilityRenewer | None = None

    def start(self, consumer: Any) -> None:
        channel = consumer.task_consumer.channel
        if not isinstance(channel, transport.Channel):
            return  # a broker that notices by itself when its consumer has gone
        reconnect_when_refused(channel)
        if reason := misfit(channel):
            fall_back(channel, consumer.app, reason)
            return
        try:
            self._hold(channel, consumer)
        except (RedisError, OSError, *consumer.connection_errors):
            raise  # the consumer connects anew, and starts this again
        except Exception as error:
            logger.exception("a worker must start all the same")
            fall_back(channel, consumer.app, error)

    def _hold(self, channel: Any, consumer: Any) -> None:
        before, self._holding = self._holding, VisibilityRenewer(channel, consumer)
        if before is not None:
            self._holding.succeed(before)
        self._holding.start()


def reconnect_when_refused(channel: Any) -> None:
    """Have the worker connect anew when Redis ends its waiting for messages with an error.

    A server that is demoted does so (``UNBLOCKED``, ``READONLY``), and so does ``CLIENT UNBLOCK … ERROR``.
    kombu takes that for a fault of the worker's own, which ends the worker.
    """
    read = channel.handlers["BRPOP"]

    def read_or_reconnect(**options: Any) -> Any:
        try:
            return read(**options)
        except ResponseError as error:
            channel.client.connection.disconnect()
            raise ConnectionError(f"the broker ended the wait for messages: {error}") from error

    channel.handlers["BRPOP"] = read_or_reconnect


class VisibilityRenewer:
    """The messages that came through one channel, and those its predecessors still run.

    ``consumer`` is asked whether the worker stops: then everything that was not acknowledged is given back.
    """

    def __init__(self, channel: Any, consumer: Any) -> None:
        self._channel = channel
        self._consumer = consumer
        self._qos: Any = channel.qos
        self._timeout: float = channel.visibility_timeout
        self._client = _client(channel)
        self._settled: set[str] = set()
        self._renewed_at = time.monotonic()
        self._over = threading.Event()
        self._qos.restore_unacked = self._give_back
        self._qos.ack = self._ack

    def start(self) -> None:
        threading.Thread(target=self._renew_for_ever, name="jobcast-visibility", daemon=True).start()

    def succeed(self, before: VisibilityRenewer) -> None:
        """Take over from the holding of a connection that was lost."""
        before._over.set()
        running = _running()
        for tag, message in running.items():
            message.channel = self._channel
            self._qos._delivered[tag] = message
        self._settled |= before._settled
        if time.monotonic() - before._renewed_at < self._timeout:  # otherwise they are somebody else's
            waiting = set(before._qos._delivered) - before._qos._dirty - running.keys()
            self._restore(waiting, self._client)
        before._client.close()

    def renew(self) -> None:
        """Say that the holder lives; raises RedisError."""
        self._remove(list(self._settled))
        tags = set(self._qos._delivered) - self._qos._dirty
        if tags:
            self._client.zadd(self._qos.unacked_index_key, dict.fromkeys(tags, time.time()), xx=True)
        self._renewed_at = time.monotonic()

    def _renew_for_ever(self) -> None:
        """In a thread: the worker's own loop stands still while it stops, and in a solo pool."""
        while not self._over.wait(min(RENEW_EVERY, self._timeout / RENEWALS)):
            if self._channel.closed and self._stops:
                return  # all has been given back
            try:
                self.renew()
            except (RedisError, OSError):
                pass  # the broker is away; the next turn tries again
            except Exception as error:  # noqa: BLE001  # a thread that ended would renew nothing
                self._note_odd(error)

    def _note_odd(self, error: Exception) -> None:
        with contextlib.suppress(Exception):
            fall_back(self._channel, self._consumer.app, repr(error))

    def _ack(self, delivery_tag: str) -> None:
        """Also when the connection was lost meanwhile; the task has ended and must not run again."""
        self._settled.add(delivery_tag)
        self._qos._quick_ack(delivery_tag)
        try:
            self._remove([delivery_tag])
        except (RedisError, OSError) as error:
            logger.warning("acknowledged when the broker is back: %s", error)

    def _remove(self, tags: Iterable[str]) -> None:
        for tag in tags:
            self._qos._remove_from_indices(tag, self._client.pipeline()).execute()
            self._settled.discard(tag)

    def _give_back(self, client: redis.Redis | None = None) -> None:
        """When the channel closes: everything, or while the worker goes on all that it does not run."""
        kept = {} if self._stops else _running()
        waiting = [tag for tag in self._qos._delivered if tag not in kept]
        self._restore(waiting, client or self._client)

    @property
    def _stops(self) -> bool:
        return bool(self._consumer.blueprint.state != bootsteps.RUN)  # type: ignore[attr-defined]  # no stub

    def _restore(self, tags: Iterable[str], client: redis.Redis) -> None:
        for tag in tags:
            self._qos.restore_by_tag(tag, client=client)
            self._qos._delivered.pop(tag, None)


def _running() -> dict[str, Any]:
    """The messages of running tasks that are acknowledged only when they have ended, by delivery tag."""
    requests = [request for request in tuple(state.active_requests) if not request.acknowledged]
    return {request.message.delivery_tag: request.message for request in requests}


def _client(channel: Any) -> redis.Redis:
    """A client that outlives the channel and never hangs."""
    own: dict[str, Any] = {
        "socket_timeout": COMMAND_TIMEOUT,
        "retry": Retry(NoBackoff(), 1),
        "retry_on_error": [ReadOnlyError],
    }
    client: redis.Redis = channel.Client(connection_pool=_pool(channel, own))
    return client


def _pool(channel: Any, options: dict[str, Any]) -> redis.ConnectionPool:
    if not isinstance(channel, transport.SentinelChannel):
        return redis.ConnectionPool(**{**channel._connparams(), **options})
    sentinels: Any = channel
    closed_with_the_channel = sentinels._sentinel_manager
    pool: redis.ConnectionPool = sentinels._sentinel_managed_pool()
    sentinels._sentinel_manager = closed_with_the_channel
    pool.connection_kwargs.update(options)
    return pool
