"""What a platform is to the publisher.

Another platform is one class with a name and ``publish``, and one line in the registry.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from jobcast.errors import PublicError


class TemporaryPlatformError(PublicError):
    """Raised when the platform may take the same post a little later: a time-out, a rate limit."""


class PermanentPlatformError(PublicError):
    """Raised when the platform will never take this post as it is."""


@dataclass(frozen=True, slots=True)
class OutgoingPost:
    """One post for one platform.

    ``key`` is the same however often the post is sent, after a retry or the death of a worker: a
    platform that knows idempotency keys gets it as one.
    """

    key: str
    content: str


@dataclass(frozen=True, slots=True)
class Media:
    """One file of a post; ``open`` gives its bytes, or raises PermanentPlatformError when it is refused."""

    name: str
    open: Callable[[], BinaryIO]


class Platform(Protocol):
    """Raises nothing but the two errors above for what a platform, a network or a disk can do."""

    @property
    def name(self) -> str:
        """What posts call it; an id of the wire contract."""
        ...

    def publish(self, post: OutgoingPost, media: Sequence[Media]) -> str:
        """Publish, and return the platform's own id of the post; twice with one key is once."""
        ...
