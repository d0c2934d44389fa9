"""Requests that name a session of Engine.IO's: of the usual shape, from where it was opened, and no JSONP."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final
from urllib.parse import parse_qs

from jobcast.flask.problems import problem
from jobcast.server import audit
from jobcast.server.client_address import Addresses

#: What sessions are called; anything else would go into a log as it was sent.
_SESSION: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")

Environ = Mapping[str, Any]


class PollingSessions:
    """WSGI middleware: refuses with a 400, upon which a client opens a session of its own.

    ``opened_by`` returns the request that opened a session. Whoever learns a session's id, from a proxy's log
    or a screen, cannot read it from elsewhere; ``binds`` switches that off for clients behind an exit with
    several addresses.
    """

    def __init__(
        self,
        app: Any,
        opened_by: Callable[[str], Environ | None],
        addresses: Addresses,
        path: str,
        *,
        binds: bool,
    ) -> None:
        self._app = app
        self._opened_by = opened_by
        self._addresses = addresses
        self._path = path
        self._binds = binds

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        is_ours = str(environ.get("PATH_INFO", "")).startswith(self._path)
        if is_ours and (detail := self._refused(environ)):
            return problem(400, "invalid-payload", detail)(environ, start_response)
        answer: Iterable[bytes] = self._app(environ, start_response)
        return answer

    def _refused(self, environ: Environ) -> str | None:
        asked = parse_qs(str(environ.get("QUERY_STRING", "")), keep_blank_values=True)
        if "j" in asked:
            return "JSONP is not served"
        (sid,) = asked.get("sid", [""])[-1:]
        if sid and not _SESSION.fullmatch(sid):
            return "no such session"
        opened = self._opened_by(sid) if sid and self._binds else None
        if opened is not None and not self._addresses.are_together(opened, environ):
            audit.refused("forbidden", environ, reason="a session that was opened from elsewhere")
            return "no such session"
        return None
