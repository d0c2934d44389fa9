"""Who may see what: every row of the decision, and every way a token can be wrong."""

from __future__ import annotations

import time

import jwt
import pytest

from jobcast.server.authentication import Authenticator
from jobcast.server.authorization import Identity, may_see
from jobcast.server.errors import RequestRefused
from jobcast.server.settings import ServerSettings
from jobcast.topics import brand_topic, job_topic, user_topic

KEY = "a-key-for-tests-" * 4
ANA = Identity("ana", brands=frozenset({"acme"}))
OWN, BRANDS = {"ownerId": "ana", "brandId": "x"}, {"ownerId": "bo", "brandId": "acme"}
OTHERS = {"ownerId": "bo", "brandId": "x"}


@pytest.mark.parametrize(
    ("identity", "topic", "meta", "granted"),
    [
        (Identity("root", scopes=frozenset({"admin"})), job_topic("j"), OTHERS, True),
        (Identity("root", scopes=frozenset({"admin"})), user_topic("ana"), {}, True),
        (Identity("bot", scopes=frozenset({"job:j"})), job_topic("j"), OTHERS, True),
        (Identity("bot", scopes=frozenset({"job:j"})), job_topic("k"), OTHERS, False),
        (Identity("bot", scopes=frozenset({"user:ana"})), user_topic("ana"), {}, True),
        (Identity("bot", scopes=frozenset({"brand:acme"})), brand_topic("acme"), {}, True),
        (ANA, user_topic("ana"), {}, True),
        (ANA, user_topic("bo"), {}, False),
        (ANA, brand_topic("acme"), {}, True),
        (ANA, brand_topic("other"), {}, False),
        (ANA, job_topic("j"), OWN, True),
        (ANA, job_topic("j"), BRANDS, True),
        (ANA, job_topic("j"), OTHERS, False),
        (ANA, job_topic("unknown"), {}, False),
    ],
)
def test_the_decision(identity, topic, meta, granted):
    """The fixed order of the wire contract, section 6; an unknown job looks like a forbidden one."""
    assert may_see(identity, topic, meta) is granted


def token(key: str = KEY, algorithm: str = "HS256", **claims: object) -> str:
    known = {"sub": "ana", "brands": ["acme"], "exp": time.time() + 60} | claims
    return jwt.encode({k: v for k, v in known.items() if v is not None}, key, algorithm)


@pytest.fixture
def authenticator() -> Authenticator:
    return Authenticator(ServerSettings(socketio_jwt_key=KEY))


def test_a_good_token_says_who_somebody_is(authenticator):
    """User, brands and scopes."""
    identity = authenticator.identify(token(scope="job:j user:bo"))
    assert identity == Identity("ana", frozenset({"acme"}), frozenset({"job:j", "user:bo"}))


@pytest.mark.parametrize(
    "bad",
    [
        None, "", 7, "x.y.z",
        token(key="another-key-123-" * 4),
        token(exp=time.time() - 60),
        token(exp=None),
        token(exp=10**400),
        token(sub=None),
        token(sub=7),
        token(brands="acme"),
        token(scope={"admin": True}),
        jwt.encode({"sub": "ana", "exp": time.time() + 60}, None, "none"),
        token(algorithm="HS512"),
    ],
    ids=["none", "empty", "a number", "no token", "another key", "expired", "for ever",
         "too long a number", "nobody", "no name", "brands", "scope", "unsigned", "another algorithm"],
)  # fmt: skip
def test_anything_else_is_refused(authenticator, bad):
    """Forged, expired, endless, nameless, shapeless, or of an algorithm that is not ours."""
    with pytest.raises(RequestRefused) as refused:
        authenticator.identify(bad)
    assert refused.value.code == "unauthenticated"


@pytest.mark.parametrize(
    ("scope", "job_id"),
    [("job:import:42", "import:42"), ("job:a/b", "a/b"), ("job:a%2Fb", "a/b"), ("job:100%", "100%")],
)
def test_a_scope_names_a_job_by_its_id_or_by_its_room_and_no_other_job(authenticator, scope, job_id):
    """Issuers know ids, not how rooms are written."""
    identity = authenticator.identify(token(scope=scope))
    assert may_see(identity, job_topic(job_id), {})
    assert not may_see(identity, job_topic(f"{job_id}x"), {})


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (None, "no token"), ("x.y.z", "no token at all"),
        (token(key="another-key-123-" * 4), "another key"),
        (token(exp=time.time() - 60), "expired"),
        (token(nbf=time.time() + 3600), "not valid yet"),
        (token(iat=time.time() + 36_000), "clocks differ"),
        (token(exp=None), "without a claim"),
        (token(algorithm="HS512"), "algorithm"),
    ],
)  # fmt: skip
def test_the_operator_is_told_why_and_the_bearer_is_not(authenticator, bad, reason, caplog):
    """Which key, which clock: whoever forges tokens would learn from it."""
    caplog.set_level("INFO")
    with pytest.raises(RequestRefused) as refused:
        authenticator.identify(bad)
    assert reason in refused.value.reason
    assert refused.value.message in ("a token is required", "the token is not valid")
    assert bad is None or reason in caplog.text


def test_without_a_key_everybody_is_let_in():
    """Which is why the process binds to loopback then."""
    assert Authenticator(ServerSettings()).identify(None).is_admin
    assert ServerSettings().bind_host == "127.0.0.1"
    assert ServerSettings(socketio_jwt_key=KEY).bind_host == "0.0.0.0"
