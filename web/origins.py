"""Which web pages may talk to this server: the listed origins, and always its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from jobcast.errors import InvalidSetting
from jobcast.settings import Settings

IsAllowed = Callable[[str | None, Mapping[str, Any]], bool]


def origin_check(settings: Settings) -> IsAllowed:
    """A function of origin and WSGI environ; raise InvalidSetting for ``*``, which lets in everybody."""
    listed = frozenset(origin.rstrip("/") for origin in settings.socketio_cors_origin)
    if "*" in listed:
        raise InvalidSetting("SOCKETIO_CORS_ORIGIN", "list the origins; * would let in every page")

    def is_allowed(origin: str | None, environ: Mapping[str, Any]) -> bool:
        if origin is None:
            return False
        return origin in listed or _host(origin) in _own_hosts(environ)

    return is_allowed


def _host(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc
    except ValueError:  # "http://["
        return None


def _own_hosts(environ: Mapping[str, Any]) -> set[str]:
    """The host a browser used to get here, as the server or a proxy before it was told."""
    forwarded = str(environ.get("HTTP_X_FORWARDED_HOST", "")).split(",")[0].strip()
    return {host for host in (environ.get("HTTP_HOST"), forwarded) if host}
