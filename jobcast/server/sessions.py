"""Who is in which namespace, and until when: sessions end when their token does.

One loop looks after all of them. Ends are kept by the second, so that a session which closes leaves nothing
behind, and a look at the clock costs the seconds that passed, not the sessions that stay.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

import socketio

from jobcast.models import ErrorDetail
from jobcast.server import audit
from jobcast.server.authorization import Identity
from jobcast.server.connection_limits import PENALTY_SECONDS, Connection, ConnectionRegistry, retry_ms
from jobcast.server.revocation import Revocations

logger = logging.getLogger(__name__)

#: Seconds between two looks.
TICK_SECONDS: Final = 1.0
#: Sessions ended before everybody else on the hub gets a turn.
ENDINGS_PER_TURN: Final = 16
#: Seconds in which what was said last may still go out.
FAREWELL_SECONDS: Final = 0.2
#: Ends further away than this many seconds are not waited for.
_NEVER: Final = 10 * 365 * 86_400

#: Seconds by which the wall clock may drift before the ends of sessions are counted anew.
DRIFT_SECONDS: Final = 1.0

_EXPIRED: Final = ErrorDetail(code="unauthenticated", message="the token has expired")
_REVOKED: Final = ErrorDetail(code="unauthenticated", message="the token is not valid any more")
_FLOODING: Final = ErrorDetail(
    code="rate-limited", message="too many messages", retry_after_ms=retry_ms(PENALTY_SECONDS)
)


def _steady() -> float:
    """Seconds that nobody sets, and that pass while the machine sleeps, where the system counts those."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


@dataclass(frozen=True, slots=True)
class Session:
    """One client in one namespace, until the second ``ends_in`` of the steady clock."""

    sid: str
    eio_sid: str
    namespace: str
    identity: Identity
    ends_in: int | None


class Sessions:
    """All sessions of this process."""

    def __init__(
        self,
        server: socketio.Server,
        connections: ConnectionRegistry,
        revocations: Revocations,
        clock: Callable[[], float] = time.time,
        steady: Callable[[], float] = _steady,
    ) -> None:
        self._server = server
        self._connections = connections
        self._revocations = revocations
        self._clock = clock
        self._steady = steady
        self._offset = clock() - steady()
        self._open: dict[str, Session] = {}
        self._ending: dict[int, dict[str, None]] = {}
        self._of_token: dict[str, dict[str, None]] = {}
        self._looked_at = math.floor(steady())
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._open)

    def __contains__(self, sid: str) -> bool:
        return sid in self._open

    def __getitem__(self, sid: str) -> Session:
        return self._open[sid]

    def open(self, namespace: str, sid: str, identity: Identity) -> None:
        """Let a client into a namespace; raise RequestRefused when that is too much."""
        eio_sid = self._server.manager.eio_sid_from_sid(sid, namespace)
        self._connections.join(eio_sid, sid, identity.user)
        with self._lock:
            session = Session(sid, eio_sid, namespace, identity, self._end_of(identity))
            self._keep(session)
            if identity.token_id is not None:
                self._of_token.setdefault(identity.token_id, {})[sid] = None

    def close(self, sid: str) -> None:
        """A client has left a namespace; harmless for one that was never let in."""
        session = self._open.pop(sid, None)
        if session is None:
            return
        self._connections.leave(session.eio_sid, sid)
        with self._lock:
            if session.ends_in is not None:
                _remove(self._ending, session.ends_in, sid)
            if session.identity.token_id is not None:
                _remove(self._of_token, session.identity.token_id, sid)

    def too_early(self, sid: str) -> float:
        """In how many seconds the message being handled may come again; 0 for one within the limits."""
        session = self._open.get(sid)
        connection = self._connections.get(session.eio_sid) if session else None
        return connection.wait if connection else 0.0

    def tick(self) -> None:
        """End what has expired, was revoked, or never joined anything."""
        self._follow_clock()
        self._end_all(self._expired(), _EXPIRED)
        revoked = self._revocations.refresh()
        with self._lock:
            called_back = [sid for token in revoked for sid in self._of_token.get(token, ())]
        self._end_all(called_back, _REVOKED)
        for eio_sid in self._connections.overdue():
            logger.info("connection %s joined no namespace, closed", eio_sid)
            self.hang_up(eio_sid)
        self._connections.forgive()

    def expel(self, eio_sid: str, connection: Connection) -> None:
        """End a connection that does not stop, and keep its owner out for a while."""
        logger.warning("connection %s of %s does not stop, closed", eio_sid, connection.users or "nobody")
        self._connections.punish(connection)
        self._end_all(connection.sids, _FLOODING)
        self._connections.close(eio_sid)  # nothing it still says is listened to
        self._server.start_background_task(self._hang_up_later, eio_sid)

    def _end_of(self, identity: Identity) -> int | None:
        """The second a session ends in; not one that is past, which nobody would look at again."""
        if identity.expires is None or identity.expires > self._clock() + _NEVER:
            return None
        return max(math.ceil(identity.expires - self._offset), self._looked_at + 1)

    def _keep(self, session: Session) -> None:
        self._open[session.sid] = session
        if session.ends_in is not None:
            self._ending.setdefault(session.ends_in, {})[session.sid] = None

    def _follow_clock(self) -> None:
        """Count anew when the wall clock was set: tokens end by it, and sessions with them, by no other."""
        offset = self._clock() - self._steady()
        if abs(offset - self._offset) <= DRIFT_SECONDS:
            return
        logger.warning("the clock was set by %+.0f s", offset - self._offset)
        with self._lock:
            self._offset = offset
            self._ending.clear()
            for session in list(self._open.values()):
                self._keep(replace(session, ends_in=self._end_of(session.identity)))

    def _expired(self) -> list[str]:
        with self._lock:
            now = math.floor(self._steady())
            seconds = range(self._looked_at + 1, now + 1)
            self._looked_at = max(now, self._looked_at)
            return [sid for second in seconds for sid in self._ending.get(second, ())]

    def _end_all(self, sids: Iterable[str], why: ErrorDetail) -> None:
        for count, sid in enumerate(list(sids), 1):
            if (session := self._open.get(sid)) is not None:
                self._end(session, why)
            if count % ENDINGS_PER_TURN == 0:
                self._server.sleep(0)

    def _end(self, session: Session, why: ErrorDetail) -> None:
        environ = self._server.get_environ(session.sid, session.namespace) or {}
        ids = {"user": session.identity.user, "sid": session.sid, "namespace": session.namespace}
        audit.refused(why.code, environ, **ids)
        to: dict[str, Any] = {"namespace": session.namespace, "ignore_queue": True}
        self._server.emit("subscription-error", why.wire(), to=session.sid, **to)
        self._server.disconnect(session.sid, **to)

    def _hang_up_later(self, eio_sid: str) -> None:
        self._server.sleep(FAREWELL_SECONDS)
        self.hang_up(eio_sid)

    def hang_up(self, eio_sid: str) -> None:
        """End a connection without waiting until its client has read what is queued for it."""
        socket = self._server.eio.sockets.get(eio_sid)
        if socket is not None:
            socket.close(wait=False)
            self._server.eio.sockets.pop(eio_sid, None)
        self._connections.close(eio_sid)


def _remove(index: dict[Any, dict[str, None]], outer: Any, inner: str) -> None:
    found = index.get(outer)
    if found is not None:
        found.pop(inner, None)
        if not found:
            del index[outer]
