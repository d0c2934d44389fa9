"""Who somebody is, and what they may see: the fixed order of the wire contract, section 6."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import jwt

from jobcast.settings import Settings
from jobcast.topics import BRAND, JOB, USER, Topic

#: Seconds by which clocks may differ.
CLOCK_SKEW: Final = 10


class Refused(Exception):
    """Raised when a request is not granted; ``code`` is one of the contract's error codes."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Identity:
    """What a token says about its bearer."""

    user: str
    brands: frozenset[str] = frozenset()
    scopes: frozenset[str] = field(default_factory=frozenset)

    @property
    def is_admin(self) -> bool:
        return "admin" in self.scopes


#: Everybody, as long as no key is configured and only this machine is served.
ANYBODY: Final = Identity("", scopes=frozenset({"admin"}))


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


class Gate:
    """Turns tokens into identities; without a key everybody is let in, which binds to loopback only."""

    def __init__(self, settings: Settings) -> None:
        self._key = settings.socketio_jwt_key
        self._algorithms = list(settings.socketio_jwt_algorithms)

    @property
    def is_open(self) -> bool:
        return not self._key

    def identify(self, token: object) -> Identity:
        """Who bears this token; raise Refused for none, a forged, an expired or a shapeless one."""
        if self.is_open:
            return ANYBODY
        if not isinstance(token, str) or not token:
            raise Refused("unauthenticated", "a token is required")
        try:
            claims = jwt.decode(
                token,
                self._key,
                algorithms=self._algorithms,
                leeway=CLOCK_SKEW,
                options={"require": ["exp", "sub"]},
            )
        except jwt.InvalidTokenError as error:
            raise Refused("unauthenticated", "the token is not valid") from error
        return _identity(claims)


def _identity(claims: Mapping[str, Any]) -> Identity:
    brands, scope = claims.get("brands") or [], claims.get("scope") or ""
    scopes = scope.split() if isinstance(scope, str) else scope
    if not isinstance(brands, list) or not isinstance(scopes, list):
        raise Refused("unauthenticated", "the token is not valid")
    return Identity(claims["sub"], _texts(brands), _texts(scopes))


def _texts(values: list[Any]) -> frozenset[str]:
    return frozenset(value for value in values if isinstance(value, str))
