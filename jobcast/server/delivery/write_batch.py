"""The clients that were offered events since the last flush; each is then written to once."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final, Protocol

logger = logging.getLogger(__name__)

#: Clients written to before others on the hub get their turn.
CLIENTS_PER_TURN: Final = 256


class Flushable(Protocol):
    """Keeps what it was offered until it is told to send it."""

    def flush(self) -> None: ...


class WriteBatch:
    """``pause`` gives others on the hub their turn."""

    def __init__(self, pause: Callable[[], None] = lambda: None) -> None:
        self._clients: list[Flushable] = []
        self._pause = pause

    def add(self, client: Flushable) -> None:
        self._clients.append(client)

    def flush(self) -> None:
        """Have everybody's events sent."""
        clients, self._clients = self._clients, []
        for number, client in enumerate(clients, 1):
            try:
                client.flush()
            except Exception:
                logger.exception("a client is passed over after an error of our own")
            if number % CLIENTS_PER_TURN == 0:
                self._pause()

    def breathe(self) -> None:
        """In the middle of much work: send what there is, and let others have their turn."""
        self.flush()
        self._pause()
