"""The process's ear on the Redis channel.

It listens from boot, finds out within seconds when the connection is dead without having been closed, and
after every loss says so, because plain pub/sub forgets: whoever listens has to read the ledger again.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

import redis
from redis.exceptions import RedisError

from jobcast.ledger.redis import connect

logger = logging.getLogger(__name__)

#: First and longest pause before listening again, in seconds.
FIRST_PAUSE: Final = 0.05
LONGEST_PAUSE: Final = 0.5
#: Seconds without a message after which the connection has to show that it lives, and may take to.
QUIET: Final = 1.0
PONG_TIMEOUT: Final = 2.0
#: Messages handled before others on the hub get their turn.
BATCH: Final = 64


class Listener:
    """Messages of one channel, for ever; ``on_listening`` runs whenever listening (again) begins."""

    def __init__(
        self,
        url: str,
        channel: str,
        *,
        on_listening: Callable[[], None],
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.listening = False
        self.listens = 0
        self._url = url
        self._channel = channel
        self._on_listening = on_listening
        self._sleep = sleep
        self._clock = clock

    def messages(self) -> Iterator[str]:
        """Yield every message; never ends and never raises."""
        pause = FIRST_PAUSE
        while True:
            try:
                for message in self._listen():
                    pause = FIRST_PAUSE
                    yield message
            except (RedisError, OSError) as error:
                if self.listening or pause == FIRST_PAUSE:
                    logger.warning("not listening to Redis, trying again: %s", error)
                self.listening = False
                self._sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311
                pause = min(pause * 2, LONGEST_PAUSE)

    def _listen(self) -> Iterator[str]:
        client = connect(self._url)
        pubsub = client.pubsub()  # type: ignore[no-untyped-call]
        try:
            pubsub.subscribe(self._channel)
            yield from self._received(pubsub)
        finally:
            pubsub.close()
            client.close()

    def _received(self, pubsub: redis.client.PubSub) -> Iterator[str]:
        handled, asked = 0, 0.0
        while True:
            message = pubsub.get_message(timeout=QUIET)
            if message is None:
                asked = self._prove_alive(pubsub, asked)
                continue
            asked = 0.0
            if message["type"] == "message":
                yield message["data"]
                handled += 1
                if handled % BATCH == 0:
                    self._sleep(0)
            else:
                self._note(message)

    def _note(self, message: dict[str, Any]) -> None:
        if message["type"] == "subscribe":
            self.listens += 1
            self.listening = True
            logger.info("listening on %s", self._channel)
            self._on_listening()

    def _prove_alive(self, pubsub: redis.client.PubSub, asked: float) -> float:
        """Ping a quiet connection; raise when the last ping went unanswered."""
        now = self._clock()
        if not asked:
            pubsub.ping()
            return now
        if now - asked > PONG_TIMEOUT:
            raise redis.exceptions.TimeoutError("no answer to PING")
        return asked
