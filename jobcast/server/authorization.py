"""Who somebody is, and what they may see: the fixed order of the wire contract, section 6."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from jobcast.topics import BRAND, JOB, USER, Topic


class RequestRefused(Exception):
    """Raised when a request is not granted; ``code`` is one of the contract's error codes.

    ``retry_after`` is in seconds, where the same request may be granted later.
    """

    def __init__(self, code: str, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Identity:
    """What a token says about its bearer, and until when (seconds since 1970; None: for ever)."""

    user: str
    brands: frozenset[str] = frozenset()
    scopes: frozenset[str] = field(default_factory=frozenset)
    expires: float | None = field(default=None, compare=False)
    token_id: str | None = field(default=None, compare=False)

    @property
    def is_admin(self) -> bool:
        return "admin" in self.scopes


#: Everybody, as long as no key is configured and only this machine is served.
ANYBODY: Final = Identity("", scopes=frozenset({"admin"}))


def authorise(identity: Identity, topic: Topic, meta_of: Callable[[Topic], Mapping[str, str]]) -> None:
    """Raise RequestRefused unless this identity may see this topic: by push, by poll, or to act on it.

    An unknown job is refused like a forbidden one: in the same words, after the same one look at the store.
    """
    if may_see(identity, topic, {}):
        return
    if topic.kind is not JOB or not may_see(identity, topic, meta_of(topic)):
        raise RequestRefused("forbidden", "this topic is not yours to see")


def may_see(identity: Identity, topic: Topic, meta: Mapping[str, str]) -> bool:
    """The decision, first match wins; ``meta`` is what is stored of a job, empty for an unknown one."""
    if identity.is_admin or topic.room in identity.scopes:
        return True
    if topic.kind is USER:
        return topic.id == identity.user
    if topic.kind is BRAND:
        return topic.id in identity.brands
    return topic.kind is JOB and _owns(identity, meta)


def _owns(identity: Identity, meta: Mapping[str, str]) -> bool:
    return meta.get("ownerId") == identity.user or meta.get("brandId") in identity.brands
