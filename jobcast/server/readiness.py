"""Readiness of a process: whether the store does what every request needs of it, and what it does not."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Final

from jobcast.envelope import proof
from jobcast.errors import LedgerRefused, LedgerUnavailable
from jobcast.ledger import Ledger
from jobcast.server.redis.listener import Listener

#: Seconds that a message may take from the store to this process's listener.
ARRIVAL_TIMEOUT: Final = 3.0


class Readiness:
    """Proves the way of an event: the script, a write, the message on the channel and its arrival here.

    ``is_shared``: whether events travel on the one channel that ``listener`` always hears; the arrival is not
    waited for otherwise.
    """

    def __init__(
        self, ledger: Ledger, listener: Listener, is_listening: Callable[[], bool], *, is_shared: bool
    ) -> None:
        self._ledger = ledger
        self._listener = listener
        self._is_listening = is_listening
        self._is_shared = is_shared

    def failing(self) -> str | None:
        """What does not work, in one sentence; None when everything does."""
        message = proof(secrets.token_hex(8))
        with self._listener.expecting(message.encode()) as arrived:
            try:
                self._ledger.prove(message)
            except LedgerUnavailable as error:
                return error.reason
            except LedgerRefused as error:
                return str(error)
            if not self._is_listening():
                return "not listening to the message queue yet"
            if self._is_shared and not arrived.wait(ARRIVAL_TIMEOUT):
                return "what is published does not arrive from the message queue"
        return None
