"""Whom a server without a key answers: programs on this machine, and pages that came from it.

A browser on this machine reaches loopback for every site that is open in it. Some requests it makes for any
page without asking first, a form with a file among them; and a site whose name suddenly leads to loopback may
read the answers too. Where tokens are asked for neither helps anybody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from jobcast.flask.origins import IsAllowed
from jobcast.flask.problems import refusal
from jobcast.server import audit
from jobcast.server.errors import RequestRefused

#: Methods that change nothing, whoever asks.
_HARMLESS: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class TrustedHosts:
    """WSGI middleware: refuses what a page from elsewhere has a browser on this machine do, with a 403."""

    def __init__(self, app: Any, is_known: Callable[[str], bool], is_allowed: IsAllowed) -> None:
        self._app = app
        self._is_known = is_known
        self._is_allowed = is_allowed

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        try:
            self._check(environ)
        except RequestRefused as refused:
            audit.refused(refused.code, environ)
            return refusal(refused)(environ, start_response)
        answer: Iterable[bytes] = self._app(environ, start_response)
        return answer

    def _check(self, environ: Mapping[str, Any]) -> None:
        host, origin = environ.get("HTTP_HOST"), environ.get("HTTP_ORIGIN")
        if host and not self._is_known(host):
            raise RequestRefused(
                "forbidden", "without SOCKETIO_JWT_KEY only this machine's own names are served"
            )
        is_harmless = environ.get("REQUEST_METHOD") in _HARMLESS
        if origin and not is_harmless and not self._is_allowed(origin, environ):
            raise RequestRefused("forbidden", "this page is not among SOCKETIO_CORS_ORIGIN")
