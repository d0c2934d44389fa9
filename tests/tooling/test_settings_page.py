"""The page of settings names all of them."""

from __future__ import annotations

import re

from scripts.run import AllSettings
from tests.stack import ROOT


def test_every_setting_is_on_the_page():
    """In full, or by its end where a row names several of a kind."""
    page = (ROOT / "docs" / "settings.md").read_text()
    named = re.findall(r"`(…?[A-Z_]+…?)`", page)
    ends = tuple(name.strip("…") for name in named if not name.endswith(("…", "_")))
    assert not [name for name in AllSettings.model_fields if not name.upper().endswith(ends)]
