"""A bound on how many connections an address may open, before Engine.IO hears of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qs

from jobcast.flask.problems import refusal
from jobcast.server import audit
from jobcast.server.client_address import Addresses
from jobcast.server.connection_limits import ConnectionRegistry
from jobcast.server.errors import RequestRefused
from jobcast.server.tarpit import Tarpit


class HandshakeLimit:
    """WSGI middleware: refuses connections of an address that has or opens too many, with a 429.

    ``path`` is where Engine.IO's requests go, below what the application is mounted at.
    """

    def __init__(
        self,
        app: Any,
        connections: ConnectionRegistry,
        addresses: Addresses,
        tarpit: Tarpit,
        path: str = "/socket.io/",
    ) -> None:
        self._app = app
        self._path = path
        self._tarpit = tarpit
        self._connections = connections
        self._addresses = addresses

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if self._is_handshake(environ):
            try:
                self._connections.admit(self._addresses.of(environ))
            except RequestRefused as refused:
                audit.refused(refused.code, address=self._addresses.of(environ))
                self._tarpit.hold()
                return refusal(refused)(environ, start_response)
        answer: Iterable[bytes] = self._app(environ, start_response)
        return answer

    def _is_handshake(self, environ: dict[str, Any]) -> bool:
        if environ.get("REQUEST_METHOD") == "OPTIONS":
            return False
        if not str(environ.get("PATH_INFO", "")).startswith(self._path):
            return False
        return "sid" not in parse_qs(str(environ.get("QUERY_STRING", "")))
