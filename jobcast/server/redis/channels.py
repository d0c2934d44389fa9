"""Which Redis channels this process listens on: one for everything, or one for each topic somebody follows.

With one channel every web process is sent everything. With one per topic it is sent what its own clients
follow, as Socket.IO's Redis adapter does in its dynamic mode; workers' stock emits still come on the shared
channel, which is always listened to.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import ClassVar, Final

from jobcast import envelope
from jobcast.topics import Topic

#: Seconds a subscriber waits until Redis has confirmed; without that the next comparison fills the hole.
CONFIRM_TIMEOUT: Final = 0.8
#: Channels named in one command.
CHANNELS_AT_ONCE: Final = 500
#: The plain channel that a listener of sharded ones names last; nobody publishes there.
LAST_CHANNEL: Final = "jobcast:last"

Command = Callable[[str, str], None]


class Channels:
    """``shared`` is the channel for everything that has none of its own."""

    subscribe: ClassVar = "SUBSCRIBE"
    unsubscribe: ClassVar = "UNSUBSCRIBE"

    def __init__(self, shared: str, *, per_topic: bool) -> None:
        self.shared = shared
        self._per_topic = per_topic
        self._confirmed: dict[str, threading.Event] = {}
        self._awaited: Counter[str] = Counter()
        self._say: Command | None = None
        self._lock = threading.Lock()

    def follow(self, topic: Topic) -> None:
        """Listen to a topic; returns when Redis has confirmed, so that a read after it leaves no gap."""
        if self._per_topic:
            self.ask(topic).wait(CONFIRM_TIMEOUT)

    def ask(self, topic: Topic) -> threading.Event:
        """Name a topic, if nobody has; what is returned is set when Redis has confirmed it."""
        channel = self._name(topic)
        with self._lock:
            confirmed = self._confirmed.get(channel)
            if confirmed is None:
                confirmed = self._confirmed[channel] = threading.Event()
                self._awaited[channel] += 1  # one more than is on its way for somebody who left again
                self._send(self.subscribe, channel)
            return confirmed

    def leave(self, topic: Topic) -> None:
        """Listen to a topic no longer; for when nobody here follows it any more."""
        channel = self._name(topic)
        with self._lock:
            if self._confirmed.pop(channel, None):
                self._send(self.unsubscribe, channel)

    def naming(self) -> Iterator[Sequence[str]]:
        """Commands that name all channels, the shared one last: once that is confirmed, all are."""
        names = [*self._confirmed, self.shared]
        for start in range(0, len(names), CHANNELS_AT_ONCE):
            yield self.subscribe, *names[start : start + CHANNELS_AT_ONCE]

    def connected(self, say: Command | None) -> None:
        """How to tell Redis from now on; None while there is no connection."""
        with self._lock:
            self._say = say
            self._awaited = Counter(dict.fromkeys(self._confirmed, 1))
            for confirmed in self._confirmed.values():
                confirmed.clear()

    def confirm(self, channel: str) -> bool:
        """Redis has confirmed a channel; whether that means that all are listened to."""
        with self._lock:
            self._awaited[channel] -= 1
            if self._awaited[channel] <= 0:
                del self._awaited[channel]
                if confirmed := self._confirmed.get(channel):
                    confirmed.set()
        return channel == self.shared

    def parted(self, channel: str) -> None:
        """Redis has let go of a channel: because it was told to."""

    def _name(self, topic: Topic) -> str:
        return envelope.channel_of(topic, self.shared, per_topic=True)

    def _send(self, command: str, channel: str) -> None:
        if self._say is not None:
            self._say(command, channel)

    def __len__(self) -> int:
        return len(self._confirmed) + 1


class ShardChannels(Channels):
    """The sharded channels that one primary of a cluster owns; ``on_moved`` is told when one is its no more.

    Each is named by a command of its own, because those of two slots may not be named together.
    """

    subscribe: ClassVar = "SSUBSCRIBE"
    unsubscribe: ClassVar = "SUNSUBSCRIBE"

    def __init__(self, prefix: str, on_moved: Callable[[], None]) -> None:
        super().__init__(LAST_CHANNEL, per_topic=True)
        self._prefix = prefix
        self._on_moved = on_moved
        self._parted: set[str] = set()

    @property
    def topics(self) -> int:
        """How many are followed here."""
        return len(self._confirmed)

    def naming(self) -> Iterator[Sequence[str]]:
        for channel in self._confirmed:
            yield self.subscribe, channel
        yield "SUBSCRIBE", self.shared

    def was_parted(self, topic: Topic) -> bool:
        """Whether the primary has let go of it by itself."""
        return self._name(topic) in self._parted

    def leave(self, topic: Topic) -> None:
        self._parted.discard(self._name(topic))
        super().leave(topic)

    def connected(self, say: Command | None) -> None:
        self._parted.clear()
        super().connected(say)

    def parted(self, channel: str) -> None:
        if channel in self._confirmed and channel not in self._awaited:
            self._parted.add(channel)
            self._on_moved()

    def _name(self, topic: Topic) -> str:
        return envelope.channel_of(topic, self._prefix, per_topic=True)
