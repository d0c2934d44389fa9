"""Which web pages may talk to this server: the listed origins, and always its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from jobcast.server.allowed_origins import AllowedOrigins
from jobcast.server.settings import ServerSettings

IsAllowed = Callable[[str | None, Mapping[str, Any]], bool]


def origin_check(settings: ServerSettings, *, knows_users: bool | None = None) -> IsAllowed:
    """A function of origin and WSGI environ.

    As long as users are not told apart (``knows_users``; default: by a key), what a page's own host is called
    is not believed unless it is a name of this machine: any site can have its name lead here once its page is
    loaded.
    """
    listed = AllowedOrigins(settings.socketio_cors_origin)
    believes = settings.has_key if knows_users is None else knows_users

    def is_allowed(origin: str | None, environ: Mapping[str, Any]) -> bool:
        if origin is None:
            return False
        if origin in listed:
            return True
        host = _host(origin)
        is_own = host in _own_hosts(environ, settings.jobcast_proxy_hops)
        return is_own and (believes or is_local(host))

    return is_allowed


def host_check(settings: ServerSettings) -> Callable[[str], bool]:
    """Whether a ``Host`` header names this machine, or one of the listed origins."""
    listed = AllowedOrigins(settings.socketio_cors_origin)
    return lambda host: listed.has_host(host) or is_local(host)


def is_local(host: str | None) -> bool:
    """Whether this host, perhaps with a port, can only be the machine that asks."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or name.endswith(".localhost") or ip_address(name).is_loopback
    except ValueError:  # another name, or none
        return False


def _host(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc
    except ValueError:  # "http://["
        return None


def _own_hosts(environ: Mapping[str, Any], proxies: int) -> set[str]:
    """The host a browser used to get here, as the server or as many proxies as are trusted were told."""
    given = [host.strip() for host in str(environ.get("HTTP_X_FORWARDED_HOST", "")).split(",")]
    forwarded = given[-proxies:][:1] if proxies else []
    return {host for host in (environ.get("HTTP_HOST"), *forwarded) if host}
