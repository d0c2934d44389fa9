"""A WSGI application with the browser half in it, as the servers here run it."""

from __future__ import annotations

from typing import Any, Protocol

from jobcast.server.attach import Server


class Application(Protocol):
    """``app`` answers requests, ``server`` is the browser half it was given."""

    @property
    def app(self) -> Any: ...

    @property
    def server(self) -> Server: ...


class Closable(Protocol):
    """Where clients come in; closed, nobody else does."""

    def close(self) -> None: ...
