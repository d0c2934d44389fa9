"""The sharded channels of a cluster: one listener for each primary, which names what that primary owns.

Who owns a channel changes: a slot is moved, a replica takes over. Redis says so by hanging up, by an
unasked ``sunsubscribe``, or by ``MOVED``. Then the slots are looked up again, what has moved is named at its
new owner, and the ledger is read, as after any gap.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from redis.cluster import ClusterNode
from redis.exceptions import RedisError

from jobcast import envelope
from jobcast.ledger.cluster import Cluster
from jobcast.server.redis.channels import CONFIRM_TIMEOUT, ShardChannels
from jobcast.server.redis.chunks import Chunks, read
from jobcast.server.redis.listener import Listener
from jobcast.topics import Topic

logger = logging.getLogger(__name__)

#: Seconds between two looks at who owns what: while somebody is not listened to, and otherwise.
HURRY_SECONDS: Final = 0.2
LOOK_EVERY: Final = 15.0


@dataclass(eq=False)
class Shard:
    """One primary, and what is listened to there."""

    node: ClusterNode
    channels: ShardChannels
    listener: Listener


@dataclass(frozen=True)
class Hub:
    """How a shard's listener runs: what it tells, and what runs it."""

    on_listening: Callable[[], None]
    on_idle: Callable[[], None]
    consume: Callable[[Listener], None]
    spawn: Callable[..., object]
    sleep: Callable[[float], None]


class Shards:
    """Follows and leaves topics as ``Channels`` does; ``shared`` is listened to by somebody else."""

    def __init__(self, cluster: Cluster, shared: str) -> None:
        self.shared = shared
        self.chunks: Chunks = read
        self._cluster = cluster
        self._hub: Hub | None = None
        self._homes: dict[Topic, Shard] = {}
        self._shards: dict[str, Shard] = {}
        #: Topics whose owner could not be found out.
        self._homeless: set[Topic] = set()
        self._trouble = threading.Event()

    def start(self, hub: Hub) -> None:
        self._hub = hub
        hub.spawn(self._keep)

    @property
    def listening(self) -> bool:
        return not self._homeless and all(shard.listener.listening for shard in self._shards.values())

    def follow(self, topic: Topic) -> None:
        """Listen to a topic; returns when its owner has confirmed, or soon if it cannot."""
        self._ask(topic).wait(CONFIRM_TIMEOUT)

    def leave(self, topic: Topic) -> None:
        """For when nobody here follows it any more."""
        self._homeless.discard(topic)
        if shard := self._homes.pop(topic, None):
            shard.channels.leave(topic)

    def _ask(self, topic: Topic) -> threading.Event:
        shard = self._homes.get(topic)
        if shard is None:
            try:
                shard = self._homes[topic] = self._shard_of(topic)
            except (RedisError, OSError):
                self._homeless.add(topic)
                self._trouble.set()
                return _nothing_to_wait_for()
        self._homeless.discard(topic)
        return shard.channels.ask(topic)

    def _shard_of(self, topic: Topic) -> Shard:
        node = self._cluster.owner(envelope.channel_of(topic, self.shared, per_topic=True))
        return self._shards.get(node.name) or self._open(node)

    def _open(self, node: ClusterNode) -> Shard:
        if self._hub is None:
            raise RuntimeError("nobody listens before the start")
        channels = ShardChannels(self.shared, on_moved=self._trouble.set)
        listener = Listener(
            lambda: self._cluster.dial(node),
            channels,
            on_listening=self._hub.on_listening,
            on_idle=self._hub.on_idle,
            on_lost=self._trouble.set,
            sleep=self._hub.sleep,
        )
        listener.chunks = self.chunks
        shard = self._shards[node.name] = Shard(node, channels, listener)
        self._hub.spawn(self._hub.consume, listener)
        return shard

    def _keep(self) -> None:
        """For ever: look again when something is wrong, and now and then when nothing seems to be."""
        while True:
            self._trouble.wait(LOOK_EVERY if self.listening else HURRY_SECONDS)
            self._trouble.clear()
            try:
                self._rearrange()
            except (RedisError, OSError) as error:
                logger.warning("the cluster's slots cannot be looked up: %s", error)
                self._sleep()
            except Exception:
                logger.exception("the cluster's slots are looked up again after an error of our own")
                self._sleep()

    def _sleep(self) -> None:
        if self._hub is not None:
            self._hub.sleep(HURRY_SECONDS)

    def _rearrange(self) -> None:
        self._cluster.look_again()
        moved = [topic for topic, shard in list(self._homes.items()) if self._has_moved(topic, shard)]
        for topic in moved:
            self._homes.pop(topic).channels.leave(topic)
        asked = [self._ask(topic) for topic in [*moved, *self._homeless]]
        for confirmed in asked:
            confirmed.wait(CONFIRM_TIMEOUT)
        if asked and self._hub is not None:
            logger.info("%s topics are listened to elsewhere", len(asked))
            self._hub.on_listening()
        self._close_empty()

    def _has_moved(self, topic: Topic, shard: Shard) -> bool:
        channel = envelope.channel_of(topic, self.shared, per_topic=True)
        return shard.channels.was_parted(topic) or self._cluster.owner(channel).name != shard.node.name

    def _close_empty(self) -> None:
        for name, shard in list(self._shards.items()):
            if not shard.channels.topics:
                del self._shards[name]
                shard.listener.stop()


def _nothing_to_wait_for() -> threading.Event:
    event = threading.Event()
    event.set()
    return event
