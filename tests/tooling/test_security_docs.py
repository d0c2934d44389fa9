"""The threat model names tests, and they exist."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache

from tests.stack import ROOT

MODEL = (ROOT / "docs" / "security.md").read_text()


@cache
def functions_of(name: str) -> frozenset[str]:
    """The test functions of a file; none when it is not there."""
    path = ROOT / name
    tree = ast.parse(path.read_text()) if path.is_file() else ast.Module([], [])
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef))


def rows() -> Iterator[str]:
    """The tables' rows, without their heads."""
    for line in MODEL.splitlines():
        if line.startswith("| ") and not line.startswith("| could "):
            yield line


def test_every_test_that_the_threat_model_names_exists():
    """A test that is renamed or removed takes its row with it."""
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", MODEL)
    assert len(named) >= 40
    assert [f"{file}::{name}" for file, name in named if name not in functions_of(file)] == []


def test_every_row_of_the_threat_model_is_shown_by_something():
    """By a test, or by a page that says what was measured."""
    assert [row for row in rows() if "`tests/" not in row and "`docs/" not in row] == []


def test_what_the_threat_model_refers_to_exists():
    """Pages and settings."""
    for page in re.findall(r"`(docs/[\w/.-]+)`", MODEL):
        assert (ROOT / page).is_file(), page
    sources = "".join(path.read_text() for path in ROOT.glob("[jtw]*/**/settings.py"))
    for setting in re.findall(r"`(JOBCAST_\w+)`", MODEL + (ROOT / "SECURITY.md").read_text()):
        assert setting.lower() in sources, setting
