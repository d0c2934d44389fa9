"""Tokens of an issuer that publishes its keys: a real web process reads them over real HTTP."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import socketio
from cryptography.hazmat.primitives.asymmetric import ec

from tests.issuer import EC_KEY, RSA_KEY, Issuer, token
from tests.stack import Stack
from tests.watcher import Watcher


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    running = Issuer()
    running.keys = {"one": RSA_KEY}
    yield running
    running.close()


def test_published_keys_open_and_an_issuer_that_is_down_is_unavailable(issuer, own_stack: Stack):
    """Before its first answer nobody is let in, which is said; afterwards known keys go on being good."""
    good, unknown = token(RSA_KEY, "RS256", "one"), token(EC_KEY, "ES256", "two")
    forged = token(ec.generate_private_key(ec.SECP256R1()), "ES256", "one")
    own_stack.valkey.start()
    own_stack.start_web(JOBCAST_JWKS_URL=issuer.url, HOST="127.0.0.1")
    with Watcher(own_stack.url, auth={"token": good}) as watcher:
        assert watcher.call("subscribe-user", "ana", "/notifications")["ok"]
        assert watcher.call("subscribe-user", "bo", "/notifications")["error"]["code"] == "forbidden"
    issuer.broken = True
    assert status(own_stack, good) == 200
    assert status(own_stack, forged) == 401
    assert status(own_stack, unknown) == 401  # asked a moment ago; it was not among them
    assert "Traceback" not in own_stack.logs()


def test_without_any_keys_yet_the_answer_is_try_again(issuer, own_stack: Stack):
    """Over HTTP and over a socket, with when to."""
    issuer.broken = True
    own_stack.valkey.start()
    own_stack.start_web(JOBCAST_JWKS_URL=issuer.url, HOST="127.0.0.1")
    good = token(RSA_KEY, "RS256", "one")
    answer = own_stack.get("/api/notifications/ana", Authorization=f"Bearer {good}")
    assert (answer.status, answer.json()["code"], answer.headers["Retry-After"]) == (503, "unavailable", "10")
    client, told = socketio.Client(reconnection=False), []
    client.on("connect_error", told.append, namespace="/jobs")
    with pytest.raises(socketio.exceptions.ConnectionError):
        client.connect(
            own_stack.url,
            namespaces=["/jobs"],
            auth={"token": good},
            transports=["websocket"],
            wait_timeout=5,
        )
    client.disconnect()
    assert told[0]["data"] == {"code": "unavailable", "retryAfterMs": 10_000}
    assert issuer.asked == 1
    assert "Traceback" not in own_stack.logs()


def status(stack: Stack, text: str) -> int:
    return stack.get("/api/notifications/ana", Authorization=f"Bearer {text}").status
