"""What every answer tells a browser."""

from __future__ import annotations

from typing import Any

import pytest

from web.app import create_app
from web.settings import WebSettings

ORIGIN = "https://app.example.com"


def answer(path: str = "/healthz", proxies: int = 0, method: str = "GET", **headers: str) -> Any:
    """One request to an app that is connected to nothing."""
    settings = WebSettings(
        redis_url="redis://127.0.0.1:1/0",
        socketio_async_mode="threading",
        socketio_cors_origin=(ORIGIN,),
        jobcast_proxy_hops=proxies,
        jobcast_audit="off",
    )
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    with create_app(settings).app.test_client() as client:
        return client.open(path, method=method, headers=names, buffered=True)


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
