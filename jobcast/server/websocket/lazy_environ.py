"""The environ of each client: made from its opening request when a handler asks for it."""

from __future__ import annotations

from typing import Any

from jobcast.server.protocol.handshake import Request


class LazyEnvirons(dict[str, Any]):
    """Takes the place of ``socketio.Server.environ``; stock clients' environs are kept as they are."""

    def __getitem__(self, eio_sid: str) -> Any:
        return _made(super().__getitem__(eio_sid))

    def get(self, eio_sid: str, default: Any = None) -> Any:
        return _made(super().get(eio_sid, default))


def _made(found: Any) -> Any:
    return found.environ() if isinstance(found, Request) else found
