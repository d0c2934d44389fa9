"""Subscriptions to jobs that nobody knows any more, on connections that stay open for weeks.

The ledger forgets a job some time after its end. A client that still follows it then is waiting for nothing;
so is one that follows an id that never was a job. Both are let go of when the ledger has known nothing of the
job for as long as it would have kept one that had ended. Inboxes and brands stay: empty is their usual state.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from jobcast.errors import LedgerUnavailable
from jobcast.ledger import Ledger
from jobcast.server.delivery.subscriptions import Subscriptions
from jobcast.topics import JOB, Topic

logger = logging.getLogger(__name__)


class SubscriptionExpiry:
    """``patience`` is how long a job may be unknown, in seconds."""

    def __init__(
        self,
        subscriptions: Subscriptions,
        ledger: Ledger,
        patience: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._subscriptions = subscriptions
        self._ledger = ledger
        self._patience = patience
        self._clock = clock
        self._unknown_since: dict[Topic, float] = {}

    def look(self) -> None:
        """Ask the ledger about every job that is followed here; while it is away, nothing is let go of."""
        topics = [topic for topic in self._subscriptions.topics() if topic.kind is JOB]
        try:
            positions = self._ledger.positions(topics)
        except LedgerUnavailable as error:
            logger.warning("looking for forgotten jobs is put off: %s", error)
            return
        unknown = [topic for topic, (sequence, _) in zip(topics, positions, strict=True) if not sequence]
        self._let_go(unknown, self._clock())

    def _let_go(self, unknown: list[Topic], now: float) -> None:
        since = {topic: self._unknown_since.get(topic, now) for topic in unknown}
        overdue = [topic for topic, at in since.items() if now - at >= self._patience]
        self._unknown_since = {topic: at for topic, at in since.items() if now - at < self._patience}
        for topic in overdue:
            for subscription in self._subscriptions.of_room(topic.room):
                self._subscriptions.close(subscription.sid, topic.room)
        if overdue:
            logger.info("%s jobs that are not known any more are not followed any more", len(overdue))
