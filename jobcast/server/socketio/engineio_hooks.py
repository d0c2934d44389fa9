"""Where the limits meet Engine.IO: every handshake, message and farewell of every transport passes here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol

import socketio

from jobcast.server.client_address import Addresses
from jobcast.server.connection_limits import ConnectionRegistry
from jobcast.server.errors import RequestRefused
from jobcast.server.sessions import Sessions

#: Seconds that a message over the limit costs its sender, who waits for them alone.
OVER_LIMIT_PAUSE: Final = 0.002
#: Messages of one connection handled before everybody else on the hub gets a turn.
MESSAGES_PER_TURN: Final = 16


class Opening(Protocol):
    """A request that asks for a connection."""

    def environ(self) -> dict[str, Any]: ...


class EngineIOHooks:
    """Stands before a Socket.IO server's own handlers of Engine.IO's three events."""

    def __init__(
        self,
        server: socketio.Server,
        connections: ConnectionRegistry,
        sessions: Sessions,
        addresses: Addresses,
    ) -> None:
        self._server = server
        self._connections = connections
        self._sessions = sessions
        self._addresses = addresses
        self._handlers: dict[str, Callable[..., Any]] = dict(server.eio.handlers)
        for event in ("connect", "message", "disconnect"):
            server.eio.on(event, getattr(self, f"_{event}"))
        # Engine.IO's own waits until the client has read everything, which one that misbehaves never does.
        server.eio.disconnect = sessions.hang_up

    def is_welcome(self, request: Opening) -> bool:
        """Whether this request may open a connection; the front door asks, WSGI answers who is refused."""
        try:
            self._connections.admit(self._addresses.of(request.environ()))
        except RequestRefused:
            return False
        return True

    def _connect(self, eio_sid: str, environ: Any) -> Any:
        answer = self._handlers["connect"](eio_sid, environ)
        self._connections.open(eio_sid, self._addresses.of(self._server.environ[eio_sid]))
        return answer

    def _message(self, eio_sid: str, data: Any) -> Any:
        connection = self._connections.charge(eio_sid)
        if connection is None or connection.wait:
            self._server.sleep(OVER_LIMIT_PAUSE)
        elif int(connection.tokens) % MESSAGES_PER_TURN == 0:
            self._server.sleep(0)
        if connection is None:
            return None  # hung up on; what it sent before it heard of that
        if connection.is_over_and_over:
            self._sessions.expel(eio_sid, connection)
            return None
        return self._handlers["message"](eio_sid, data)

    def _disconnect(self, eio_sid: str, reason: str) -> Any:
        try:
            return self._handlers["disconnect"](eio_sid, reason)
        finally:
            self._connections.close(eio_sid)
