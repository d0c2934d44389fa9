"""The keys that tokens are verified with: a shared secret, a public key, or the issuer's published ones.

Which algorithms go with a key is decided here, once, at start: a public key is never tried as a secret,
and ``none`` is no algorithm.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Final, Protocol

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from jobcast.errors import InvalidSetting
from jobcast.server.errors import RequestRefused
from jobcast.server.settings import ServerSettings

logger = logging.getLogger(__name__)

#: Bytes below which a secret can be guessed (RFC 7518, section 3.2).
SHORTEST_SECRET: Final = 32
#: Seconds for which published keys count as fresh.
FRESH_SECONDS: Final = 300.0
#: Seconds between two requests for them, whoever asks for a key that is not among them.
RETRY_PAUSE: Final = 10.0
#: Seconds the issuer has to answer.
FETCH_TIMEOUT: Final = 3.0

_SECRET: Final = frozenset({"HS256", "HS384", "HS512"})
_RSA: Final = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})
_CURVE: Final = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}


class Keys(Protocol):
    """Where a verification key comes from, and the algorithms it may be used with."""

    algorithms: list[str]

    def find(self, token: str) -> Any:
        """The key for this token; raise jwt.InvalidTokenError or RequestRefused when there is none."""


def keys_from(settings: ServerSettings) -> Keys | None:
    """What the settings name, or None; raise InvalidSetting for what could not keep anybody out."""
    key = settings.socketio_jwt_key.replace("\\n", "\n")
    if settings.jobcast_jwks_url:
        if key:
            raise InvalidSetting("JOBCAST_JWKS_URL", "give this or SOCKETIO_JWT_KEY, not both")
        algorithms = _algorithms(settings, _RSA | set(_CURVE.values()), ("RS256", "ES256"))
        return PublishedKeys(settings.jobcast_jwks_url, algorithms)
    if not key:
        return None
    return _public_key(settings, key) if "-----BEGIN" in key else _secret(settings, key)


def _secret(settings: ServerSettings, key: str) -> Keys:
    algorithms = _algorithms(settings, _SECRET, ("HS256",))
    if len(key.encode()) < SHORTEST_SECRET:
        raise InvalidSetting("SOCKETIO_JWT_KEY", f"a secret has at least {SHORTEST_SECRET} bytes")
    return FixedKey(key, algorithms)


def _public_key(settings: ServerSettings, pem: str) -> Keys:
    try:
        key = load_pem_public_key(pem.encode())
    except ValueError as error:
        raise InvalidSetting("SOCKETIO_JWT_KEY", "not a public key in PEM") from error
    if isinstance(key, RSAPublicKey):
        return FixedKey(key, _algorithms(settings, _RSA, ("RS256",)))
    if isinstance(key, EllipticCurvePublicKey) and key.curve.name in _CURVE:
        own = _CURVE[key.curve.name]
        return FixedKey(key, _algorithms(settings, {own}, (own,)))
    raise InvalidSetting("SOCKETIO_JWT_KEY", "only RSA and the curves of ES256, ES384 and ES512 are known")


def _algorithms(
    settings: ServerSettings, fitting: frozenset[str] | set[str], usual: tuple[str, ...]
) -> list[str]:
    wanted = settings.socketio_jwt_algorithms or usual
    if unfit := [name for name in wanted if name not in fitting]:
        raise InvalidSetting("SOCKETIO_JWT_ALGORITHMS", f"{unfit[0]} does not go with the configured key")
    return list(wanted)


class FixedKey:
    """One key for every token."""

    def __init__(self, key: Any, algorithms: list[str]) -> None:
        self.algorithms = algorithms
        self._key = key

    def find(self, token: str) -> Any:
        return self._key


class PublishedKeys:
    """The issuer's key set (RFC 7517), by ``kid``.

    A key that is not known has the set read again, since keys rotate, but not more often than every few
    seconds. While the issuer does not answer, the keys that are known go on being good.
    """

    def __init__(self, url: str, algorithms: list[str], clock: Callable[[], float] = time.monotonic) -> None:
        self.algorithms = algorithms
        self._source = jwt.PyJWKClient(url, cache_jwk_set=False, timeout=FETCH_TIMEOUT)
        self._clock = clock
        self._keys: dict[str, jwt.PyJWK] = {}
        self._reading = threading.Lock()
        self._read_at = self._tried_at = float("-inf")

    def find(self, token: str) -> jwt.PyJWK:
        kid = jwt.get_unverified_header(token).get("kid")
        if not isinstance(kid, str):
            raise jwt.InvalidTokenError("no kid")
        if kid not in self._keys or self._clock() - self._read_at > FRESH_SECONDS:
            self._refresh(kid)
        if kid in self._keys:
            return self._keys[kid]
        if self._read_at < self._tried_at:
            raise RequestRefused("unavailable", "the keys to check tokens with cannot be read", RETRY_PAUSE)
        raise jwt.InvalidTokenError("unknown kid")

    def _refresh(self, kid: str) -> None:
        """Read the set again; whoever has a key that is known does not wait for it."""
        if not self._reading.acquire(blocking=kid not in self._keys):
            return
        try:
            if self._clock() - self._tried_at > RETRY_PAUSE:
                self._read()
        finally:
            self._reading.release()

    def _read(self) -> None:
        self._tried_at = self._clock()
        try:
            found = self._source.get_signing_keys(refresh=True)
        except (jwt.PyJWTError, ValueError, OSError) as error:
            logger.warning("the issuer's keys cannot be read: %s", error)
            return
        self._keys = {key.key_id: key for key in found if key.key_id}
        self._read_at = self._tried_at
