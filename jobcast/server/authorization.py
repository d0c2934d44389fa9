"""Who somebody is, and what they may see: the fixed order of the wire contract, section 6."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from jobcast.server.errors import RequestRefused
from jobcast.topics import BRAND, JOB, USER, Topic


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


_NOT_YOURS: Final = "this topic is not yours to see"

#: Everybody, as long as no key is configured and only this machine is served.
ANYBODY: Final = Identity("", scopes=frozenset({"admin"}))


def authorise(identity: Identity, topic: Topic, meta_of: Callable[[Topic], Mapping[str, str]]) -> None:
    """Raise RequestRefused unless this identity may see this topic: by push, by poll, or to act on it.

    An unknown job is refused like a forbidden one: in the same words, after the same one look at the store.
    """
    if may_see(identity, topic, {}):
        return
    if topic.kind is not JOB or not may_see(identity, topic, meta_of(topic)):
        raise RequestRefused("forbidden", _NOT_YOURS)


class Authorizer:
    """The decision of the contract, unless the application's ``decide(identity, topic)`` takes it.

    ``decide`` returns True or False; None leaves it to the contract's order. ``meta_of`` returns what is
    stored of a job, empty for an unknown one.
    """

    def __init__(
        self,
        meta_of: Callable[[Topic], Mapping[str, str]],
        decide: Callable[[Identity, Topic], bool | None] | None = None,
    ) -> None:
        self._meta_of = meta_of
        self._decide = decide

    def check(self, identity: Identity, topic: Topic) -> None:
        """Raise RequestRefused unless this identity may see and act on this topic."""
        decided = self._decide(identity, topic) if self._decide is not None else None
        if decided is None:
            authorise(identity, topic, self._meta_of)
        elif not decided:
            raise RequestRefused("forbidden", _NOT_YOURS)


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
