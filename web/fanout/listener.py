"""The process's ear on the Redis channel.

It listens from boot, finds out within seconds when the connection is dead without having been closed, and
after every loss says so, because plain pub/sub forgets: whoever listens has to read the ledger again.

redis-py makes the connection, with TLS, passwords and all; what arrives is read in large pieces and taken
apart by hiredis, as redis-py's own pub/sub loop costs more than the rest of the way to the client.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

import hiredis
import redis
from redis.exceptions import ConnectionError, RedisError

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
#: Bytes read at once.
READ: Final = 256 * 1024


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

    def messages(self) -> Iterator[bytes]:
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

    def _listen(self) -> Iterator[bytes]:
        client = connect(self._url)
        connection: Any = client.connection_pool.make_connection()
        try:
            connection.connect()
            connection.send_command("SUBSCRIBE", self._channel)
            yield from self._received(connection)
        finally:
            connection.disconnect()
            client.close()

    def _received(self, connection: Any) -> Iterator[bytes]:
        tcp: Any = connection._sock  # the socket under redis-py, a contract test holds on to it
        tcp.settimeout(QUIET)
        reader = hiredis.Reader()
        asked = 0.0
        while True:
            try:
                data = tcp.recv(READ)
            except TimeoutError:
                asked = self._prove_alive(connection, asked)
                continue
            if not data:
                raise ConnectionError("closed by Redis")
            asked = 0.0
            reader.feed(data)
            yield from self._parsed(reader)
            self._sleep(0)

    def _parsed(self, reader: hiredis.Reader) -> Iterator[bytes]:
        handled = 0
        while (reply := reader.gets()) is not False:
            if isinstance(reply, Exception):
                raise ConnectionError(str(reply))
            if isinstance(reply, list) and reply[0] == b"message":
                yield reply[2]
                handled += 1
                if handled % BATCH == 0:
                    self._sleep(0)
            else:
                self._note(reply)

    def _note(self, reply: Any) -> None:
        if isinstance(reply, list) and reply[0] == b"subscribe":
            self.listens += 1
            self.listening = True
            logger.info("listening on %s", self._channel)
            self._on_listening()

    def _prove_alive(self, connection: Any, asked: float) -> float:
        """Ping a quiet connection; raise when the last ping went unanswered."""
        now = self._clock()
        if not asked:
            connection.send_command("PING", check_health=False)
            return now
        if now - asked > PONG_TIMEOUT:
            raise redis.exceptions.TimeoutError("no answer to PING")
        return asked
