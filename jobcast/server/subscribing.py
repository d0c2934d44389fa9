"""How a client joins a topic: authorise → join → read the ledger → say so → send the state → live.

Joining first and reading second leaves no gap. What arrives in between waits in the subscription, so the
client never sees a step back either.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import socketio
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from jobcast.errors import InvalidPayload, LedgerRefused, LedgerUnavailable
from jobcast.ledger import Ledger, Snapshot
from jobcast.models import Subscribed
from jobcast.position import Position
from jobcast.server.authorization import Authorizer, Identity
from jobcast.server.delivery.fanout import Fanout
from jobcast.server.delivery.subscriptions import Subscription, Subscriptions
from jobcast.server.errors import RequestRefused
from jobcast.server.event_models import subscribe_argument
from jobcast.server.redis.channels import Channels
from jobcast.server.redis.shards import Shards
from jobcast.server.socketio.transports import ClientTransport
from jobcast.topics import Topic

#: How often a client is believed that it saw more of a topic than the store holds: after a failover one claim
#: is enough for everybody, and whoever makes it up makes the topic's followers read their state anew.
CLAIMS: Final = RateLimitItemPerMinute(1)


@dataclass(frozen=True, slots=True)
class Subscribe:
    """What a client says it has seen of a topic."""

    topic: Topic
    since: Position | None = None


def parse_subscribe(argument: object, id_field: str, topic_of: Callable[[str], Topic]) -> Subscribe:
    """A bare id, or an object with the id and ``since`` and ``epoch``; raise InvalidPayload."""
    if isinstance(argument, str):
        return Subscribe(topic_of(argument))
    if not isinstance(argument, dict):
        raise InvalidPayload(f"expected an id or an object with {id_field}")
    known = subscribe_argument(argument, id_field)
    since = None if known.since is None else Position(known.since, known.epoch)
    return Subscribe(topic_of(argument[id_field]), since)


class Subscriber:
    """Opens and closes subscriptions of clients on one server; ``limit`` is how many each may have."""

    def __init__(
        self,
        server: socketio.Server,
        subscriptions: Subscriptions,
        fanout: Fanout,
        ledger: Ledger,
        authorizer: Authorizer,
        channels: Channels | Shards,
        limit: int,
    ) -> None:
        self._limit = limit
        self._server = server
        self._subscriptions = subscriptions
        self._fanout = fanout
        self._ledger = ledger
        self._authorizer = authorizer
        self._channels = channels
        self._claims = FixedWindowRateLimiter(MemoryStorage())

    def subscribe(self, sid: str, identity: Identity, wanted: Subscribe) -> dict[str, Any]:
        """Join, answer, send what was missed or else the state; raise RequestRefused.

        A client that asks again for a topic keeps the subscription that lives until the new one stands.
        """
        self._authorise(identity, wanted.topic)
        before = self._subscriptions.find(sid, wanted.topic.room)
        if before is None:
            self._check_limit(sid)
        subscription = self._join(sid, wanted.topic)
        self._channels.follow(wanted.topic)
        try:
            snapshot = self._read(wanted)
        except (LedgerUnavailable, LedgerRefused) as error:
            if before is None:
                self.unsubscribe(sid, wanted.topic)
            else:
                self._fanout.go_on(before, subscription)
            raise RequestRefused("unavailable", "the state cannot be read right now") from error
        return self._answer(subscription, snapshot)

    def unsubscribe(self, sid: str, topic: Topic) -> None:
        """Leave; harmless for somebody who never joined."""
        self._subscriptions.close(sid, topic.room)

    def forget(self, sid: str) -> None:
        """The client has gone."""
        self._subscriptions.close_all(sid)

    def _authorise(self, identity: Identity, topic: Topic) -> None:
        try:
            self._authorizer.check(identity, topic)
        except (LedgerUnavailable, LedgerRefused) as error:
            raise RequestRefused("unavailable", "the state cannot be read right now") from error

    def _read(self, wanted: Subscribe) -> Snapshot:
        since = wanted.since
        if since is None:
            return self._ledger.read(wanted.topic)
        snapshot = self._ledger.read(wanted.topic, *since)
        if since.epoch is None or not snapshot.is_older_than(since):
            return snapshot
        if self._claims.hit(CLAIMS, wanted.topic.room):
            self._ledger.advance_epoch(wanted.topic, since.epoch, since.sequence)
        return self._ledger.read(wanted.topic, *since)

    def _check_limit(self, sid: str) -> None:
        if self._subscriptions.count_of(sid) >= self._limit:
            raise RequestRefused("too-many-subscriptions", f"at most {self._limit} topics a client")

    def _join(self, sid: str, topic: Topic) -> Subscription:
        eio_sid = self._server.manager.eio_sid_from_sid(sid, topic.namespace)
        subscription = self._subscriptions.open(sid, topic, ClientTransport(self._server.eio, eio_sid))
        # It may have gone while its right to join was looked up. In this order a thread that sees it go
        # finds what was opened.
        if not self._server.manager.is_connected(sid, topic.namespace):
            self.unsubscribe(sid, topic)
            raise RequestRefused("unavailable", "the client has gone")
        return subscription

    def _answer(self, subscription: Subscription, snapshot: Snapshot) -> dict[str, Any]:
        topic = subscription.topic
        answer = Subscribed(
            sequence=snapshot.sequence,
            epoch=snapshot.epoch,
            recovered=snapshot.recovered,
            **{topic.kind.id_field: topic.id},  # one of the three aliases
        ).wire()
        self._server.emit(
            "subscribed", answer, namespace=topic.namespace, to=subscription.sid, ignore_queue=True
        )
        self._fanout.answer(subscription, snapshot)
        return answer
