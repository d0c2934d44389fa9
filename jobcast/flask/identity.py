"""Who somebody is by the application's own means, and who is let in where nothing says so."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from ipaddress import ip_address
from typing import Any

from flask import Flask, Request, has_request_context, request

from jobcast.flask.origins import IsAllowed, is_local
from jobcast.server.authorization import ANYBODY, Identity
from jobcast.server.errors import RequestRefused

#: An identity, a user's id, or None for somebody who is not known.
Identify = Callable[[Request], Identity | str | None]


class ApplicationIdentity:
    """Identities by the application's ``identify(request)``: its sessions, Flask-Login, a header.

    A browser adds cookies to what any page asks for, so pages of other origins are nobody.
    """

    is_open = False

    def __init__(self, app: Flask, identify: Identify, is_allowed: IsAllowed) -> None:
        self._app = app
        self._identify = identify
        self._is_allowed = is_allowed

    def identify(self, token: object, environ: Mapping[str, Any] | None = None) -> Identity:
        """Ask the application, in a request context of its own; raise RequestRefused."""
        _check_origin(environ or {}, self._is_allowed)
        if has_request_context():
            found = self._identify(request)
        else:
            with self._app.request_context(dict(environ or {})):
                found = self._identify(request)
        if found is None:
            raise RequestRefused("unauthenticated", "nobody is logged in")
        return Identity(found) if isinstance(found, str) else found


class LoopbackOnly:
    """Everybody on this machine and nobody else: an application with neither key nor ``identify``.

    A proxy on this machine is no reason to let its clients in, nor is a page whose host name leads here or
    that came from elsewhere.
    """

    is_open = True

    def __init__(self, is_allowed: IsAllowed) -> None:
        self._is_allowed = is_allowed

    def identify(self, token: object, environ: Mapping[str, Any] | None = None) -> Identity:
        """Raise RequestRefused for whoever is elsewhere."""
        environ = environ or {}
        _check_origin(environ, self._is_allowed)
        host = environ.get("HTTP_HOST")
        is_direct = "HTTP_X_FORWARDED_FOR" not in environ and "HTTP_FORWARDED" not in environ
        if not is_direct or not _is_loopback(environ.get("REMOTE_ADDR")) or (host and not is_local(host)):
            raise RequestRefused(
                "unauthenticated", "only this machine is served without SOCKETIO_JWT_KEY or identify="
            )
        return ANYBODY


def _check_origin(environ: Mapping[str, Any], is_allowed: IsAllowed) -> None:
    origin = environ.get("HTTP_ORIGIN")
    if origin and not is_allowed(origin, environ):
        raise RequestRefused("forbidden", "this page is not among SOCKETIO_CORS_ORIGIN")


def _is_loopback(address: object) -> bool:
    try:
        return ip_address(str(address)).is_loopback
    except ValueError:  # a unix socket has none
        return not address
