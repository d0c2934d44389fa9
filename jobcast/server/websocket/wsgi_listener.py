"""The door of eventlet's own server: everybody goes through WSGI, when the front door cannot be used."""

from __future__ import annotations

import socket
from typing import Any

import eventlet


class WsgiListener:
    """The listening socket; once closed it lets nobody in, and leaves those inside alone.

    eventlet's server hangs up on everybody when its own socket goes.
    """

    def __init__(self, listening: socket.socket) -> None:
        self._listening = listening
        self._is_open = True

    def open(self) -> None:
        """eventlet's server begins to accept by itself."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._listening, name)

    def accept(self) -> Any:
        while self._is_open:
            try:
                return self._listening.accept()
            except OSError:
                if self._is_open:
                    raise
        return eventlet.Event().wait()

    def close(self) -> None:
        self._is_open = False
        self._listening.close()
