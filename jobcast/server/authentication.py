"""Tokens in, identities out."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final, Protocol

import jwt

from jobcast.errors import InvalidPayload
from jobcast.server.authorization import ANYBODY, Identity
from jobcast.server.errors import RequestRefused
from jobcast.server.keys import keys_from
from jobcast.server.settings import ServerSettings
from jobcast.topics import named_topic

logger = logging.getLogger(__name__)

#: Seconds by which clocks may differ.
CLOCK_SKEW: Final = 10
#: Characters of the longest token that is looked at.
LONGEST_TOKEN: Final = 8_192


#: The first that fits.
_REASONS: Final[tuple[tuple[type[Exception], str], ...]] = (
    (jwt.ExpiredSignatureError, "expired, or the clocks differ"),
    (jwt.ImmatureSignatureError, "not valid yet, or the clocks differ"),
    (jwt.InvalidSignatureError, "signed with another key"),
    (jwt.InvalidAudienceError, "for another audience (JOBCAST_JWT_AUDIENCE)"),
    (jwt.InvalidIssuerError, "of another issuer (JOBCAST_JWT_ISSUER)"),
    (jwt.MissingRequiredClaimError, "without a claim that has to be there: exp, sub, aud or iss"),
    (jwt.InvalidAlgorithmError, "signed by an algorithm that is not accepted (SOCKETIO_JWT_ALGORITHMS)"),
    (jwt.DecodeError, "no token at all"),
    (jwt.InvalidTokenError, "a claim or key id that cannot be used"),
)


class Revoked(Protocol):
    """Which tokens were called back, by ``jti``."""

    def __contains__(self, token_id: object) -> bool: ...


class IdentityProvider(Protocol):
    """Says whose a request is; ``is_open`` while everybody who gets here is let in."""

    @property
    def is_open(self) -> bool: ...

    def identify(self, token: object, environ: Mapping[str, Any] | None = None) -> Identity:
        """The identity behind a token or a WSGI environ; raise RequestRefused ``unauthenticated``."""


class Authenticator:
    """Scheduler tokens into identities; without a key everybody is let in, which binds to loopback only."""

    def __init__(self, settings: ServerSettings, revoked: Revoked = frozenset()) -> None:
        self._keys = keys_from(settings)
        self._revoked = revoked
        self._claims: dict[str, Any] = {
            "audience": settings.jobcast_jwt_audience or None,
            "issuer": settings.jobcast_jwt_issuer or None,
            "leeway": CLOCK_SKEW,
            "options": {"require": ["exp", "sub"], "verify_aud": bool(settings.jobcast_jwt_audience)},
        }

    @property
    def is_open(self) -> bool:
        return self._keys is None

    def identify(self, token: object, environ: Mapping[str, Any] | None = None) -> Identity:
        """Who bears this token; raise RequestRefused for none and for one that is not good (any more)."""
        if self._keys is None:
            return ANYBODY
        if not isinstance(token, str) or not token:
            raise RequestRefused("unauthenticated", "a token is required", reason="no token")
        identity = _identity(self._verified(token))
        if identity.token_id is not None and identity.token_id in self._revoked:
            raise _not_valid("called back")
        return identity

    def _verified(self, token: str) -> Mapping[str, Any]:
        keys = self._keys
        if keys is None or len(token) > LONGEST_TOKEN:
            raise _not_valid("too long")
        try:
            claims: dict[str, Any] = jwt.decode(
                token, keys.find(token), algorithms=keys.algorithms, **self._claims
            )
        except (jwt.PyJWTError, ValueError, OverflowError) as error:
            raise _not_valid(_reason(error)) from error
        return claims


def _identity(claims: Mapping[str, Any]) -> Identity:
    brands, scope = claims.get("brands") or [], claims.get("scope") or ""
    scopes = scope.split() if isinstance(scope, str) else scope
    if not claims["sub"] or not isinstance(brands, list) or not isinstance(scopes, list):
        raise _not_valid("sub, brands or scope of another shape")
    return Identity(
        claims["sub"],
        _texts(brands),
        frozenset(map(_scope, _texts(scopes))),
        expires=_seconds(claims["exp"]) + CLOCK_SKEW,
        token_id=claims.get("jti"),
    )


def _scope(text: str) -> str:
    """A scope as authorisation compares it: ``job:import:42`` as the room of that job."""
    try:
        return named_topic(text).room
    except InvalidPayload:  # admin, or somebody else's
        return text


def _not_valid(reason: str) -> RequestRefused:
    logger.info("a token is refused: %s", reason)
    return RequestRefused("unauthenticated", "the token is not valid", reason=reason)


def _reason(error: Exception) -> str:
    """For the operator, in words of ours: what a token says is its bearer's."""
    return next((words for kind, words in _REASONS if isinstance(error, kind)), "no token at all")


def _seconds(value: Any) -> float:
    try:
        return float(value)
    except OverflowError as error:  # a whole number of any length is a good one to PyJWT
        raise _not_valid("exp is no moment") from error


def _texts(values: list[Any]) -> frozenset[str]:
    return frozenset(value for value in values if isinstance(value, str))
