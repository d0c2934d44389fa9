"""Which Redis channels this process listens on: one for everything, or one for each topic somebody follows.

With one channel every web process is sent everything. With one per topic it is sent what its own clients
follow, as Socket.IO's Redis adapter does in its dynamic mode; workers' stock emits still come on the shared
channel, which is always listened to.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final

from jobcast import envelope
from jobcast.topics import Topic

#: Seconds a subscriber waits until Redis has confirmed; without that the next comparison fills the hole.
PATIENCE: Final = 0.8

Command = Callable[[str, str], None]


class Channels:
    """``shared`` is the channel for everything that has none of its own."""

    def __init__(self, shared: str, *, per_topic: bool) -> None:
        self.shared = shared
        self._per_topic = per_topic
        self._confirmed: dict[str, threading.Event] = {}
        self._awaited: Counter[str] = Counter()
        self._say: Command | None = None

    def follow(self, topic: Topic) -> None:
        """Listen to a topic; returns when Redis has confirmed, so that a read after it leaves no gap."""
        if not self._per_topic:
            return
        channel = self._name(topic)
        confirmed = self._confirmed.get(channel)
        if confirmed is None:
            confirmed = self._confirmed[channel] = threading.Event()
            self._awaited[channel] += 1  # one more than is on its way for somebody who left again
            self._send("SUBSCRIBE", channel)
        confirmed.wait(PATIENCE)

    def leave(self, topic: Topic) -> None:
        """Listen to a topic no longer; for when nobody here follows it any more."""
        channel = self._name(topic)
        if self._confirmed.pop(channel, None):
            self._send("UNSUBSCRIBE", channel)

    def names(self) -> Iterable[str]:
        """All channels, the shared one last: once that is confirmed, all are."""
        return [*self._confirmed, self.shared]

    def connected(self, say: Command | None) -> None:
        """How to tell Redis from now on; None while there is no connection."""
        self._say = say
        self._awaited = Counter(dict.fromkeys(self._confirmed, 1))
        for confirmed in self._confirmed.values():
            confirmed.clear()

    def confirm(self, channel: str) -> bool:
        """Redis has confirmed a channel; whether that means that all are listened to."""
        self._awaited[channel] -= 1
        if self._awaited[channel] <= 0:
            del self._awaited[channel]
            if confirmed := self._confirmed.get(channel):
                confirmed.set()
        return channel == self.shared

    def _name(self, topic: Topic) -> str:
        return envelope.channel_of(topic, self.shared, per_topic=True)

    def _send(self, command: str, channel: str) -> None:
        if self._say is not None:
            self._say(command, channel)

    def __len__(self) -> int:
        return len(self._confirmed) + 1
