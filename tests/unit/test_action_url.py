"""Where a notification may lead: nowhere that runs something."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from jobcast import Notification

KNOWN = {"id": "n", "type": "alert", "title": "t", "message": "m", "severity": "info"}


@pytest.mark.parametrize(
    "url", ["/?job=7", "/", "#top", "?job=7", "https://example.com/a", "mailto:a@b.example"]
)
def test_a_path_and_an_address_to_open_are_taken(url):
    """Also none at all."""
    assert Notification(**KNOWN, action_url=url).action_url == url
    assert Notification(**KNOWN).action_url is None


@pytest.mark.parametrize(
    "url",
    ["javascript:alert(1)", "JavaScript:alert(1)", " javascript:alert(1)", "java\nscript:x",
     "data:text/html,x",
     "vbscript:x", "//evil.example", "/\\evil.example", "/a\nb", "file:///etc/passwd", ""],
)  # fmt: skip
def test_what_would_run_in_the_page_or_lead_away_unseen_is_refused(url):
    """In whatever spelling browsers read it."""
    with pytest.raises(ValidationError):
        Notification(**KNOWN, action_url=url)
