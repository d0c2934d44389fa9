"""The headers of answers that are not Flask's: Engine.IO's, and refusals on the way to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from jobcast.flask.headers import ALWAYS, MAX_AGE, cors_headers
from jobcast.flask.origins import IsAllowed

_MAX_AGE: Final = "Access-Control-Max-Age"


class EveryAnswer:
    """WSGI middleware: adds what an answer below ``path`` does not say yet, and takes the body from HEAD."""

    def __init__(self, app: Any, is_allowed: IsAllowed, path: str) -> None:
        self._app = app
        self._is_allowed = is_allowed
        self._path = path

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if not str(environ.get("PATH_INFO", "")).startswith(self._path) or "HTTP_UPGRADE" in environ:
            answer: Iterable[bytes] = self._app(environ, start_response)
            return answer

        def start(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            return start_response(status, headers + self._missing(environ, headers), *more)

        answer = self._app(environ, start)
        return _without_body(answer) if environ.get("REQUEST_METHOD") == "HEAD" else answer

    def _missing(self, environ: dict[str, Any], headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
        said = {name.lower() for name, _ in headers}
        wanted = ALWAYS | cors_headers(environ, self._is_allowed)
        if environ.get("REQUEST_METHOD") == "OPTIONS":
            wanted |= {_MAX_AGE: MAX_AGE}
        return [(name, value) for name, value in wanted.items() if name.lower() not in said]


def _without_body(answer: Iterable[bytes]) -> list[bytes]:
    close = getattr(answer, "close", None)
    for _ in answer:
        pass
    if close is not None:
        close()
    return []
