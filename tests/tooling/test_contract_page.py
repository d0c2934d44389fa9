"""The page of the wire contract says what the code does."""

from __future__ import annotations

import re
from typing import get_args

from jobcast.flask.openapi import asyncapi
from jobcast.models import ErrorCode
from jobcast.payload import ERROR_LIMIT, PAYLOAD_LIMIT
from jobcast.topics import ID_PATTERN, KINDS
from tests.stack import ROOT

PAGE = (ROOT / "docs" / "contract.md").read_text()


def test_the_table_of_namespaces_has_every_event():
    """Both directions; a namespace's row is found by its name."""
    for channel in asyncapi()["channels"].values():
        row = next(line for line in PAGE.splitlines() if f"`{channel['address']}`" in line and line[0] == "|")
        missing = [name for name in channel["messages"] if name not in row and name != "subscription-error"]
        assert missing == [], channel["address"]
    for kind in KINDS.values():
        assert f"`{kind.name}:{{{kind.id_field}}}`" in PAGE


def test_the_error_codes_are_all_there():
    """In the order of the model."""
    listed = re.search(r"Codes: (.*?)\.\n", PAGE, re.DOTALL)
    assert listed is not None
    assert tuple(re.findall(r"`([a-z-]+)`", listed[1])) == get_args(ErrorCode)


def test_the_limits_have_their_numbers():
    """Of a payload, of an error's text, of an id."""
    assert f"at most {PAYLOAD_LIMIT // 1024} KiB of JSON" in PAGE
    assert f"at {ERROR_LIMIT // 1024} KiB" in PAGE
    assert f"Ids match `{ID_PATTERN.strip('^$')}`" in PAGE
