"""How much one client may ask of this process: connections, handshakes, and messages per second.

Counts are per process and gone with it. What nobody has open takes no memory. Rates of addresses are kept by
the ``limits`` library; the rate of a connection is two numbers in its own record, because that check runs
for every message and the record leaves with the connection.
"""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from jobcast.server.errors import RequestRefused
from jobcast.server.protocol.inbound_budget import FRAMES_PER_MESSAGE, InboundBudget
from jobcast.server.settings import ServerSettings

#: Messages over the limit after which a connection is ended.
MESSAGES_OVER_LIMIT: Final = 200
#: Seconds for which whoever went on too long is not let in again.
PENALTY_SECONDS: Final = 10.0
#: What adding up small numbers may be wrong by.
_ROUNDING: Final = 1e-6


@dataclass(slots=True, eq=False)
class Connection:
    """One Engine.IO connection. ``tokens`` is what its bucket held at the time ``at``.

    ``wait`` is in how many seconds it may send again, 0 while it is within its limits; ``address`` is empty
    when it does not count.
    """

    address: str
    tokens: float
    at: float
    wait: float = 0.0
    sids: tuple[str, ...] = ()
    users: tuple[str, ...] = ()

    @property
    def is_over_and_over(self) -> bool:
        """Whether it has gone on for too long after it was told to wait."""
        return self.tokens < -MESSAGES_OVER_LIMIT


class ConnectionRegistry:
    """The open connections of this process, and who has how many of them."""

    def __init__(self, settings: ServerSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._rate = float(settings.jobcast_limit_events_per_second)
        self._burst = float(settings.jobcast_limit_event_burst)
        self._open: dict[str, Connection] = {}
        #: Since when a connection has been without a namespace, the longest first.
        self._waiting: dict[str, float] = {}
        self._of_address: Counter[str] = Counter()
        self._waiting_of_address: Counter[str] = Counter()
        self._of_user: Counter[str] = Counter()
        #: Until when a user is not let in.
        self._penalties: dict[str, float] = {}
        self._handshakes = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._handshake_rate = RateLimitItemPerMinute(settings.jobcast_limit_handshakes_per_minute)

        #: For whoever opens, joins and leaves; the messages of a connection are one thread's.
        self._lock = threading.RLock()

    def __len__(self) -> int:
        return len(self._open)

    def get(self, eio_sid: str) -> Connection | None:
        return self._open.get(eio_sid)

    def admit(self, address: str) -> None:
        """Raise RequestRefused when this address may not open another connection now."""
        if not address:
            return
        if self._of_address[address] >= self._settings.jobcast_limit_connections_per_address:
            raise _too_many("connections from this address")
        if self._waiting_of_address[address] >= self._settings.jobcast_limit_pending_handshakes:
            raise _too_many("handshakes from this address", self._settings.jobcast_handshake_seconds)
        if not self._handshakes.hit(self._handshake_rate, address):
            reset, _ = self._handshakes.get_window_stats(self._handshake_rate, address)
            raise _too_many("handshakes from this address", max(1.0, reset - time.time()))

    def open(self, eio_sid: str, address: str) -> None:
        """A handshake is done."""
        with self._lock:
            self._open[eio_sid] = Connection(address, self._burst, self._clock())
            self._of_address[address] += 1
            self._wait(eio_sid, address)

    def close(self, eio_sid: str) -> None:
        """A connection has ended; harmless for one that is not known."""
        with self._lock:
            connection = self._open.pop(eio_sid, None)
            if connection is None:
                return
            self._wait_no_more(eio_sid, connection.address)
            _lower(self._of_address, connection.address)
            for user in connection.users:
                _lower(self._of_user, user)

    def join(self, eio_sid: str, sid: str, user: str) -> None:
        """A connection joins a namespace as this user, or raise RequestRefused for one too many."""
        with self._lock:
            connection = self._open.get(eio_sid)
            if connection is None:
                raise RequestRefused("unavailable", "the connection has ended")
            if connection.wait:
                raise _too_many("messages", connection.wait)
            if user and user not in connection.users:
                self._check_penalty(user)
                if self._of_user[user] >= self._settings.jobcast_limit_connections_per_user:
                    raise _too_many("connections of this user")
                self._of_user[user] += 1
                connection.users += (user,)
            connection.sids += (sid,)
            self._wait_no_more(eio_sid, connection.address)

    def joined(self, eio_sid: str, sid: str) -> None:
        """A connection has joined a namespace, perhaps one of the application's own, whoever it is."""
        with self._lock:
            connection = self._open.get(eio_sid)
            if connection is not None and sid not in connection.sids:
                connection.sids += (sid,)
                self._wait_no_more(eio_sid, connection.address)

    def leave(self, eio_sid: str, sid: str) -> None:
        """A connection has left a namespace; harmless when it has ended already."""
        with self._lock:
            connection = self._open.get(eio_sid)
            if connection is None or sid not in connection.sids:
                return
            connection.sids = tuple(other for other in connection.sids if other != sid)
            if not connection.sids:
                self._wait(eio_sid, connection.address)

    def charge(self, eio_sid: str) -> Connection | None:
        """Count one message; its connection's ``wait`` says whether it came too early, and when to go on.

        One that is refused costs as much as one that is handled, so that going on brings the end nearer.
        """
        connection = self._open.get(eio_sid)
        if connection is None:
            return None
        now = self._clock()
        tokens = connection.tokens + (now - connection.at) * self._rate
        tokens = (tokens if tokens < self._burst else self._burst) - 1.0
        connection.tokens, connection.at = tokens, now
        connection.wait = 0.0 if tokens > -_ROUNDING else (1.0 - tokens) / self._rate
        return connection

    def punish(self, connection: Connection) -> None:
        """Keep out for a while the users of this connection.

        Not its address, which others share: a stranger loses this connection and nothing else.
        """
        until = self._clock() + PENALTY_SECONDS
        for user in connection.users:
            self._penalties[user] = until

    def overdue(self) -> Iterator[str]:
        """Connections that have been without a namespace for too long."""
        latest = self._clock() - self._settings.jobcast_handshake_seconds
        with self._lock:
            waiting = list(self._waiting.items())
        for eio_sid, since in waiting:
            if since > latest:
                break
            yield eio_sid

    def forgive(self) -> None:
        """Forget the penalties that are over."""
        now = self._clock()
        self._penalties = {user: until for user, until in self._penalties.items() if until > now}

    def _check_penalty(self, user: str) -> None:
        left = self._penalties.get(user, 0.0) - self._clock()
        if left > 0:
            raise _too_many("messages", left)

    def _wait(self, eio_sid: str, address: str) -> None:
        self._waiting[eio_sid] = self._clock()
        self._waiting_of_address[address] += 1

    def _wait_no_more(self, eio_sid: str, address: str) -> None:
        if self._waiting.pop(eio_sid, None) is not None:
            _lower(self._waiting_of_address, address)


def inbound_budget_of(settings: ServerSettings) -> InboundBudget:
    """All that one connection may send; messages are over their own limit before."""
    rate = settings.jobcast_limit_events_per_second
    seconds = (settings.jobcast_limit_event_burst + MESSAGES_OVER_LIMIT) / rate
    return InboundBudget(
        FRAMES_PER_MESSAGE * rate, settings.jobcast_limit_bytes_per_second, max(1.0, seconds)
    )


def retry_ms(seconds: float) -> int:
    """Seconds to wait as the whole milliseconds the wire carries, never too few."""
    return math.ceil(seconds * 1000)


def _too_many(what: str, retry_after: float = PENALTY_SECONDS) -> RequestRefused:
    return RequestRefused("rate-limited", f"too many {what}", retry_after)


def _lower(counter: Counter[str], name: str) -> None:
    counter[name] -= 1
    if counter[name] <= 0:
        del counter[name]
