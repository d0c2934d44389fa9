"""What every answer tells a browser."""

from __future__ import annotations

from typing import Any

import pytest

from web.app import create_app
from web.settings import WebSettings

ORIGIN = "https://app.example.com"


def client(**settings: Any) -> Any:
    """A client of an app that is connected to nothing."""
    ours = {"redis_url": "redis://127.0.0.1:1/0", "socketio_async_mode": "threading", "jobcast_audit": "off"}
    return create_app(WebSettings(**ours, socketio_cors_origin=(ORIGIN,), **settings)).app.test_client()


def answer(path: str = "/healthz", proxies: int = 0, method: str = "GET", **headers: str) -> Any:
    """One request."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    with client(jobcast_proxy_hops=proxies) as asking:
        return asking.open(path, method=method, headers=names, buffered=True)


@pytest.mark.parametrize("path", ["/", "/healthz", "/api/config", "/nowhere", "/api/jobs/j"])
def test_no_page_frames_guesses_or_runs_what_is_not_ours(path):
    """Errors as well."""
    headers = answer(path).headers
    policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["object-src"] == policy["base-uri"] == "'none'"
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"


@pytest.mark.parametrize(
    ("proxies", "forwarded", "said"),
    [(0, "https", False), (1, "https", True), (1, "http", False),
     (1, "http, https", True), (1, "https, http", False)],
)  # fmt: skip
def test_strict_transport_is_said_over_tls_only(proxies, forwarded, said):
    """Which only a proxy that is trusted can tell, and only the last one."""
    headers = answer(proxies=proxies, X_Forwarded_Proto=forwarded).headers
    assert ("Strict-Transport-Security" in headers) is said


def test_nothing_keeps_somebodys_data():
    """Neither a browser's cache nor a proxy's; not even a refusal."""
    assert answer("/api/jobs/j").headers["Cache-Control"] == "no-store"
    assert answer("/api/notifications/ana").headers["Cache-Control"] == "no-store"
    assert answer("/api/config").headers["Cache-Control"] == "no-store"


def test_only_listed_origins_may_read():
    """And are told which headers."""
    allowed = answer(Origin=ORIGIN).headers
    assert allowed["Access-Control-Allow-Origin"] == ORIGIN
    assert "X-Request-Id" in allowed["Access-Control-Expose-Headers"]
    assert "Access-Control-Allow-Origin" not in answer(Origin="https://evil.example.com").headers
    assert answer(method="OPTIONS", Origin=ORIGIN).status_code == 204


def test_a_preflight_is_remembered_and_lets_tracing_through():
    """A page with Sentry or OpenTelemetry in it adds headers to each request."""
    told = answer(method="OPTIONS", Origin=ORIGIN, Access_Control_Request_Method="POST").headers
    assert int(told["Access-Control-Max-Age"]) >= 600
    allowed = {name.strip().lower() for name in told["Access-Control-Allow-Headers"].split(",")}
    assert allowed >= {"traceparent", "tracestate", "baggage", "sentry-trace", "b3", "x-datadog-trace-id"}


def test_preflights_are_no_requests_of_the_user():
    """A browser makes them; a handshake of Engine.IO's is not begun by one either."""
    with client(jobcast_limit_requests_per_minute=1, jobcast_limit_handshakes_per_minute=1) as asking:
        for path in ("/api/jobs/j", "/socket.io/?EIO=4&transport=polling"):
            codes = {
                asking.open(path, method="OPTIONS", headers={"Origin": ORIGIN}).status_code for _ in range(5)
            }
            assert codes <= {200, 204}


@pytest.mark.parametrize("path", ["/api/jobs/j", "/socket.io/?EIO=9"])
def test_refusals_of_every_kind_may_be_read_by_a_listed_page(path):
    """A page that cannot read a 429 cannot wait as long as it says."""
    limits = {"jobcast_limit_requests_per_minute": 1, "jobcast_limit_handshakes_per_minute": 1}
    with client(jobcast_limit_loopback=True, **limits) as asking:
        asked = [asking.get(path, headers={"Origin": ORIGIN}) for _ in range(4)]
    assert 429 in {told.status_code for told in asked}  # a minute may begin in between
    for told in asked:
        assert told.headers["Access-Control-Allow-Origin"] == ORIGIN
        assert told.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(("proxies", "forwarded", "is_own"), [
    (0, "shop.example", False), (1, "shop.example", True), (1, "shop.example, inner.example", False),
    (2, "shop.example, inner.example", True),
])  # fmt: skip
def test_the_host_that_a_proxy_names_counts_from_as_many_as_are_trusted(proxies, forwarded, is_own):
    """Anybody can send the header."""
    with client(jobcast_proxy_hops=proxies, socketio_jwt_key="a-key-for-tests-" * 4) as asking:
        told = asking.get(
            "/api/config", headers={"Origin": "https://shop.example", "X-Forwarded-Host": forwarded}
        )
    assert ("Access-Control-Allow-Origin" in told.headers) is is_own
