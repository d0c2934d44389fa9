"""How the deliveries of one publishing job have gone so far."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, Final

from tasks.errors import PublishingFailed
from tasks.tables import Delivery

#: How many reasons a failed job's error names.
_REASONS: Final = 3


class DeliverySummary:
    """Counts per platform, and the first reasons of failure."""

    def __init__(self, deliveries: Iterable[Delivery]) -> None:
        planned = list(deliveries)
        self.total = len(planned)
        self.posts = len({delivery.post_id for delivery in planned})
        self._published = Counter[str]()
        self._failed = Counter[str]()
        self._platforms = list(dict.fromkeys(delivery.platform for delivery in planned))
        self._reasons: list[str] = []

    def published(self, delivery: Delivery) -> None:
        """It is out, now or since an earlier attempt."""
        self._published[delivery.platform] += 1

    def failed(self, delivery: Delivery, reason: str) -> None:
        """It will not go out."""
        self._failed[delivery.platform] += 1
        if len(self._reasons) < _REASONS:
            self._reasons.append(f"post {delivery.post.position + 1} on {delivery.platform}: {reason}")

    def details(self) -> dict[str, Any]:
        """The ``details`` of a publishing job's progress."""
        return {
            "posts": self.posts,
            "published": self._published.total(),
            "failed": self._failed.total(),
            "platforms": {
                name: {"published": self._published[name], "failed": self._failed[name]}
                for name in self._platforms
            },
        }

    def raise_for_failures(self) -> None:
        """Raise PublishingFailed, with the first reasons, when anything did not go out."""
        count = self._failed.total()
        if count:
            more = "" if count <= _REASONS else f"; and {count - _REASONS} more"
            reasons = "; ".join(self._reasons) + more
            raise PublishingFailed(f"{count} of {self.total} deliveries failed: {reasons}")
