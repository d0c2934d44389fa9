"""python-socketio's client manager with our listener in it.

``_listen`` and ``_publish`` are the two methods python-socketio asks a backend to implement. Our own
envelopes go to the fan-out; anything else takes the stock path, so that an unmodified
``flask_socketio.SocketIO(message_queue=…)`` in somebody's existing worker is delivered too.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any, Final

import redis

from jobcast.ledger.redis import connect
from jobcast.topics import KINDS
from web.fanout.fanout import Fanout
from web.fanout.listener import Listener
from web.fanout.rooms import Rooms
from web.fanout.subscriptions import Subscriptions

logger = logging.getLogger(__name__)

#: Namespaces whose events concern somebody in particular; nothing goes to all of them.
_ROOMS_ONLY: Final = frozenset(kind.namespace for kind in KINDS.values())


class FanoutManager(Rooms):
    """Listens for everybody, publishes for stock emits of this process."""

    name = "jobcast"

    def __init__(self, url: str, channel: str, fanout: Fanout, subscriptions: Subscriptions) -> None:
        super().__init__(subscriptions, channel)
        self._redis: redis.Redis = connect(url)
        self._fanout = fanout
        self.listener = Listener(
            url, channel, on_listening=fanout.resync, sleep=lambda seconds: self.server.sleep(seconds)
        )

    def start(self) -> None:
        """Listen from boot, not from the first client on."""
        self.server.manager_initialized = True
        self.initialize()

    def _publish(self, data: dict[str, Any]) -> None:
        self._redis.publish(self.channel, self.json.dumps(data))

    def _listen(self) -> Iterator[bytes]:
        for message in self.listener.messages():
            if not self._fanout.receive(message):
                yield message

    def _handle_emit(self, message: dict[str, Any]) -> None:
        if message.get("namespace") in _ROOMS_ONLY and not message.get("room"):
            logger.warning("an emit to a whole namespace was dropped: %s", message.get("namespace"))
            return
        super()._handle_emit(message)
