"""Which origins a list of them lets in, and which lists stop the start."""

from __future__ import annotations

import pytest

from jobcast.errors import InvalidSetting
from jobcast.server.allowed_origins import AllowedOrigins
from jobcast.server.settings import ServerSettings

LISTED = (
    "https://app.example.com",
    "HTTPS://Shop.Example.com:443/",
    "http://localhost:5173",
    "capacitor://localhost",
    "http://[::1]:5173",
    "https://*.preview.example.com",
    "https://shop-*.vercel.app",
)


@pytest.mark.parametrize(
    "origin",
    ["https://app.example.com", "https://shop.example.com", "http://localhost:5173", "capacitor://localhost",
     "http://[::1]:5173", "https://pr-7.preview.example.com", "https://shop-git-main.vercel.app"],
)  # fmt: skip
def test_a_listed_origin_is_let_in_as_browsers_send_it(origin):
    """In small letters and without the usual port."""
    assert origin in AllowedOrigins(LISTED)


@pytest.mark.parametrize(
    "origin",
    ["http://app.example.com", "https://app.example.com:8443", "https://app.example.com.evil.example",
     "https://evil.example/app.example.com", "https://a.b.preview.example.com", "https://preview.example.com",
     "https://evil.vercel.app", "https://shop-.evil.example/.vercel.app", "https://pr-7xpreview.example.com",
     "https://pr-7.preview.example.com:8443", "null", "", None],
)  # fmt: skip
def test_no_other_is(origin):
    """A * is one label's letters, and nothing else."""
    assert origin not in AllowedOrigins(LISTED)


@pytest.mark.parametrize(
    "value",
    ["*", "yourdomain.com", "localhost:5173", "nonsense", "null", "https://yourdomain.com/app", "https://*",
     "https://*.example.com", "https://a.*.example.com", "https://*.*.a.example.com", "https://a.example.com:x",
     "https://", "https://a@b.example.com", "https://ü.example.com", "https://a.example.com?x"],
)  # fmt: skip
def test_an_origin_that_no_browser_sends_or_everybody_could_stops_the_start(value, monkeypatch):
    """With one line that names it, instead of matching nothing in silence."""
    monkeypatch.setenv("SOCKETIO_CORS_ORIGIN", f"https://app.example.com,{value}")
    with pytest.raises(InvalidSetting, match=r"^SOCKETIO_CORS_ORIGIN: ") as caught:
        ServerSettings.from_environment()
    assert "\n" not in str(caught.value)
