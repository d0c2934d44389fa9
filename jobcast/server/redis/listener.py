"""The process's ear on Redis.

It listens from boot, finds out within seconds when the connection is dead without having been closed, and
after every loss says so, because plain pub/sub forgets: whoever listens has to read the ledger again.

redis-py makes the connection, with TLS, passwords and all; what arrives is read in large pieces and taken
apart by hiredis, as redis-py's own pub/sub loop costs more than the rest of the way to the client.
"""

from __future__ import annotations

import contextlib
import logging
import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

import hiredis
import redis
from redis.exceptions import ConnectionError, RedisError

from jobcast.envelope import PROOF
from jobcast.ledger.cluster import is_cluster
from jobcast.ledger.connection import connect
from jobcast.server.redis.channels import Channels
from jobcast.server.redis.chunks import Chunks, Moment, read

logger = logging.getLogger(__name__)

#: First and longest pause before listening again, in seconds.
FIRST_PAUSE: Final = 0.05
LONGEST_PAUSE: Final = 0.5
#: Seconds without a message after which the connection has to show that it lives, and may take to.
QUIET: Final = 1.0
PONG_TIMEOUT: Final = 2.0
#: Seconds between two pings on a busy connection, which say how far behind we read.
PROBE_EVERY: Final = 5.0
_CONFIRMATIONS: Final = (b"subscribe", b"ssubscribe")


def dialler(url: str) -> Callable[[], Any]:
    """Makes connections to the server at ``url``, or to any primary of a cluster."""

    def dial() -> Any:
        client: Any = connect(url)
        return client.dial() if is_cluster(url) else client.connection_pool.make_connection()

    return dial


class Listener:
    """Messages of its channels, for ever; ``dial`` makes a connection of redis-py's, not connected yet.

    ``on_listening`` runs whenever listening (again) begins, ``on_idle`` when all that has come was yielded,
    ``on_lost`` when the connection is gone.
    """

    def __init__(
        self,
        dial: Callable[[], Any],
        channels: Channels,
        *,
        on_listening: Callable[[], None],
        on_idle: Callable[[], None] = lambda: None,
        on_lost: Callable[[], None] = lambda: None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.listening = False
        self.listens = 0
        #: Seconds the last answer to a PING took, behind all that waited to be read before it.
        self.lag = 0.0
        #: How bytes are read; the server entry knows a faster way for its kind of socket.
        self.chunks: Chunks = read
        self._dial = dial
        self._on_lost = on_lost
        self._is_over = False
        self._channels = channels
        self._asked = 0.0
        self._expected: dict[bytes, threading.Event] = {}
        self._writing = threading.Lock()
        self._on_listening = on_listening
        self._on_idle = on_idle
        self._sleep = sleep
        self._clock = clock

    def messages(self) -> Iterator[bytes]:
        """Yield every message until somebody says ``stop``; never raises."""
        pause = FIRST_PAUSE
        while not self._is_over:
            try:
                for message in self._listen():
                    pause = FIRST_PAUSE
                    yield message
            except (RedisError, OSError) as error:
                if self.listening or pause == FIRST_PAUSE:
                    logger.warning("not listening to Redis, trying again: %s", error)
            except Exception:
                logger.exception("not listening to Redis, trying again after an error of our own")
            self.listening = False
            if self._is_over:
                return
            self._on_lost()
            self._sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311
            pause = min(pause * 2, LONGEST_PAUSE)

    def stop(self) -> None:
        """Listen no longer; within a second or so."""
        self._is_over = True

    @contextlib.contextmanager
    def expecting(self, message: bytes) -> Iterator[threading.Event]:
        """An event that is set when this message, which is a proof, arrives."""
        arrived = self._expected[message] = threading.Event()
        try:
            yield arrived
        finally:
            del self._expected[message]

    def _listen(self) -> Iterator[bytes]:
        connection = self._dial()
        try:
            connection.connect()
            self._asked = 0.0
            self._subscribe(connection)
            yield from self._received(connection)
        finally:
            self._channels.connected(None)
            connection.disconnect()

    def _received(self, connection: Any) -> Iterator[bytes]:
        reader = hiredis.Reader()
        probed = self._clock()
        # The socket under redis-py; a contract test holds on to it.
        for chunk in self.chunks(connection._sock, QUIET):
            if self._is_over:
                return
            if chunk is Moment.IDLE:
                self._on_idle()
            elif chunk is Moment.QUIET:
                self._prove_alive(connection)
            else:
                reader.feed(chunk)
                yield from self._parsed(reader)
                if self._clock() - probed > PROBE_EVERY:
                    probed = self._clock()
                    self._prove_alive(connection)

    def _subscribe(self, connection: Any) -> None:
        def say(*command: str) -> None:
            # A connection that is gone is found out by its reader, which then names all channels again.
            with self._writing, contextlib.suppress(RedisError, OSError):
                connection.send_command(*command, check_health=False)

        commands = list(self._channels.naming())
        self._channels.connected(say)
        for command in commands:
            say(*command)

    def _parsed(self, reader: hiredis.Reader) -> Iterator[bytes]:
        while (reply := reader.gets()) is not False:
            if isinstance(reply, Exception):
                raise ConnectionError(str(reply))
            if isinstance(reply, list) and (reply[0] == b"message" or reply[0] == b"smessage"):
                if reply[2].startswith(PROOF):
                    self._note_proof(reply[2])
                else:
                    yield reply[2]
            else:
                self._note(reply)

    def _note(self, reply: Any) -> None:
        if not isinstance(reply, list) or reply[0] == b"pong":
            self._note_pong()
        elif reply[0] == b"sunsubscribe":
            self._channels.parted(reply[1].decode())
        elif reply[0] in _CONFIRMATIONS and self._channels.confirm(reply[1].decode()):
            self.listens += 1
            self.listening = True
            logger.info("listening on %s", self._channels.shared)
            self._on_listening()

    def _note_proof(self, message: bytes) -> None:
        if expected := self._expected.get(message):  # another process's otherwise
            expected.set()

    def _note_pong(self) -> None:
        self.lag = self._clock() - self._asked
        self._asked = 0.0

    def _prove_alive(self, connection: Any) -> None:
        """Ping; raise when the last ping went unanswered for too long."""
        now = self._clock()
        if not self._asked:
            self._asked = now
            with self._writing:
                connection.send_command("PING", check_health=False)
        elif now - self._asked > PONG_TIMEOUT:
            raise redis.exceptions.TimeoutError("no answer to PING")
