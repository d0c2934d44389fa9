"""The keys that tokens are verified with, and the issuer that publishes them over real HTTP."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization

from jobcast.errors import InvalidSetting
from jobcast.server.authentication import Authenticator
from jobcast.server.errors import RequestRefused
from jobcast.server.keys import FRESH_SECONDS, RETRY_PAUSE, PublishedKeys
from jobcast.server.settings import ServerSettings
from tests.clock import FakeClock
from tests.issuer import EC_KEY, RSA_KEY, Issuer, token

SECRET = "a-key-for-tests-" * 4


def pem(key: Any) -> str:
    kind = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, kind).decode()


def private_pem(key: Any) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    running = Issuer()
    running.keys = {"one": RSA_KEY}
    yield running
    running.close()


@pytest.mark.parametrize(("key", "algorithm"), [(RSA_KEY, "RS256"), (EC_KEY, "ES256")])
def test_a_public_key_tells_which_algorithm_goes_with_it(key, algorithm):
    """Given as it is, or with its line ends escaped as environments need."""
    for text in (pem(key), pem(key).replace("\n", "\\n")):
        authenticator = Authenticator(ServerSettings(socketio_jwt_key=text))
        assert authenticator.identify(token(key, algorithm)).user == "ana"
        with pytest.raises(RequestRefused):
            authenticator.identify(token(SECRET, "HS256"))


def test_a_public_key_is_never_a_secret():
    """The classic forgery: HMAC over the public key that everybody knows."""
    public = pem(RSA_KEY)
    header, payload, _ = token(SECRET, "HS256").split(".")
    signed = jwt.utils.base64url_encode(_hmac(public.encode(), f"{header}.{payload}".encode())).decode()
    with pytest.raises(RequestRefused):
        Authenticator(ServerSettings(socketio_jwt_key=public)).identify(f"{header}.{payload}.{signed}")


def _hmac(key: bytes, message: bytes) -> bytes:
    return hmac.new(key, message, hashlib.sha256).digest()


@pytest.mark.parametrize(
    ("settings", "variable"),
    [
        ({"socketio_jwt_key": pem(RSA_KEY), "socketio_jwt_algorithms": "HS256"}, "SOCKETIO_JWT_ALGORITHMS"),
        ({"socketio_jwt_key": pem(RSA_KEY), "socketio_jwt_algorithms": "ES256"}, "SOCKETIO_JWT_ALGORITHMS"),
        ({"socketio_jwt_key": SECRET, "socketio_jwt_algorithms": "none"}, "SOCKETIO_JWT_ALGORITHMS"),
        ({"socketio_jwt_key": SECRET, "socketio_jwt_algorithms": "HS256,RS256"}, "SOCKETIO_JWT_ALGORITHMS"),
        ({"jobcast_jwks_url": "https://x/", "socketio_jwt_algorithms": "HS256"}, "SOCKETIO_JWT_ALGORITHMS"),
        ({"jobcast_jwks_url": "https://x/", "socketio_jwt_key": SECRET}, "JOBCAST_JWKS_URL"),
        ({"socketio_jwt_key": "too short"}, "SOCKETIO_JWT_KEY"),
        ({"socketio_jwt_key": private_pem(RSA_KEY)}, "SOCKETIO_JWT_KEY"),
        ({"socketio_jwt_key": "-----BEGIN nonsense"}, "SOCKETIO_JWT_KEY"),
    ],
)
def test_keys_that_could_not_keep_anybody_out_stop_the_start(settings, variable):
    """One line that names the variable."""
    with pytest.raises(InvalidSetting) as wrong:
        Authenticator(ServerSettings(**settings))
    assert wrong.value.variable == variable


@pytest.mark.parametrize("url", ["http://id.example.org/keys", "ftp://x/", "file:///etc/passwd"])
def test_published_keys_come_by_https(url):
    """Over http anybody on the way could put their own there."""
    with pytest.raises(InvalidSetting, match="JOBCAST_JWKS_URL"):
        ServerSettings.from_environment(jobcast_jwks_url=url)


def test_a_token_is_checked_by_the_published_key_it_names(issuer):
    """One request for many tokens."""
    authenticator = Authenticator(ServerSettings(jobcast_jwks_url=issuer.url))
    for _ in range(3):
        assert authenticator.identify(token(RSA_KEY, "RS256", "one")).user == "ana"
    assert issuer.asked == 1
    for bad in (token(EC_KEY, "ES256", "one"), token(RSA_KEY, "RS256"), token(SECRET, "HS256", "one")):
        with pytest.raises(RequestRefused) as refused:
            authenticator.identify(bad)
        assert refused.value.code == "unauthenticated"


def test_a_key_that_was_rotated_in_is_found_and_one_rotated_out_is_forgotten(issuer):
    """An unknown kid has the set read again, once every few seconds however many ask."""
    clock = FakeClock()
    keys = PublishedKeys(issuer.url, ["RS256", "ES256"], clock)
    old, new = token(RSA_KEY, "RS256", "one"), token(EC_KEY, "ES256", "two")
    keys.find(old)
    issuer.keys = {"two": EC_KEY}
    for _ in range(5):
        with pytest.raises(jwt.InvalidTokenError):
            keys.find(new)
    assert issuer.asked == 1
    clock.advance(RETRY_PAUSE + 1)
    keys.find(new)
    with pytest.raises(jwt.InvalidTokenError):
        keys.find(old)
    assert issuer.asked == 2


def test_an_issuer_that_is_down_is_unavailable_and_known_keys_go_on(issuer):
    """Neither a crash nor a refusal of those who were good a minute ago."""
    clock = FakeClock()
    keys = PublishedKeys(issuer.url, ["RS256"], clock)
    known = token(RSA_KEY, "RS256", "one")
    keys.find(known)
    issuer.broken = True
    clock.advance(FRESH_SECONDS + 1)
    keys.find(known)
    with pytest.raises(RequestRefused) as refused:
        keys.find(token(EC_KEY, "ES256", "two"))
    assert refused.value.code == "unavailable"
    assert issuer.asked == 2
    issuer.broken = False
    clock.advance(RETRY_PAUSE + 1)
    keys.find(known)
    assert issuer.asked == 3


def test_a_secret_that_was_published_is_no_key(issuer):
    """Everybody could sign with it, and call it by the name of another algorithm."""
    secret = b"a-secret-that-everybody-can-read"
    issuer.keys = {"one": RSA_KEY, "oct": jwt.utils.base64url_encode(secret).decode()}
    _, payload, _ = token(SECRET, "HS256").split(".")
    header = jwt.utils.base64url_encode(b'{"alg":"RS256","typ":"JWT","kid":"oct"}').decode()
    signed = jwt.utils.base64url_encode(_hmac(secret, f"{header}.{payload}".encode())).decode()
    with pytest.raises(RequestRefused):
        Authenticator(ServerSettings(jobcast_jwks_url=issuer.url)).identify(f"{header}.{payload}.{signed}")


def test_audience_and_issuer_are_checked_where_they_are_set():
    """Tokens of the same key for somebody else do not open this door."""
    settings = {"socketio_jwt_key": SECRET, "jobcast_jwt_audience": "jobcast", "jobcast_jwt_issuer": "us"}
    authenticator = Authenticator(ServerSettings(**settings))
    assert (
        authenticator.identify(token(SECRET, "HS256", aud=["x", "jobcast"], iss="us").strip()).user == "ana"
    )
    for claims in ({}, {"aud": "jobcast"}, {"aud": "x", "iss": "us"}, {"aud": "jobcast", "iss": "them"}):
        with pytest.raises(RequestRefused):
            authenticator.identify(token(SECRET, "HS256", **claims))
    assert (
        Authenticator(ServerSettings(socketio_jwt_key=SECRET))
        .identify(token(SECRET, "HS256", aud="any"))
        .user
        == "ana"
    )


@pytest.mark.parametrize(
    "claims", [{"exp": float("inf")}, {"exp": "soon"}, {"sub": ""}, {"jti": 7}, {"nbf": 1e12}]
)
def test_claims_that_make_no_sense_are_refused(claims):
    """Also when they are signed."""
    with pytest.raises(RequestRefused):
        Authenticator(ServerSettings(socketio_jwt_key=SECRET)).identify(token(SECRET, "HS256", **claims))


def test_a_revoked_token_is_refused():
    """By its jti; others of the same user are not."""
    authenticator = Authenticator(ServerSettings(socketio_jwt_key=SECRET), revoked=frozenset({"bad"}))
    assert authenticator.identify(token(SECRET, "HS256", jti="good")).token_id == "good"
    with pytest.raises(RequestRefused) as refused:
        authenticator.identify(token(SECRET, "HS256", jti="bad"))
    assert refused.value.code == "unauthenticated"
