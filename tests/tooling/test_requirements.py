"""What a platform installs is what pyproject.toml asks for."""

from __future__ import annotations

import re
import tomllib

import pytest
from packaging.requirements import Requirement

from scripts.check_tree import problems
from tests.stack import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
EXTRAS = PROJECT["project"]["optional-dependencies"]
GROUPS = PROJECT["dependency-groups"]
#: What this deployment takes of the library's extras.
SERVED = [*EXTRAS["celery"], *EXTRAS["server"], *EXTRAS["eventlet"]]


def pinned(name: str) -> dict[str, str]:
    """Package → version of a compiled file."""
    lines = (ROOT / name).read_text().splitlines()
    pins = [Requirement(line.rstrip(" \\")) for line in lines if line and line[0] not in "# -"]
    return {pin.name.lower(): next(iter(pin.specifier)).version for pin in pins}


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("requirements.txt", PROJECT["project"]["dependencies"] + SERVED + GROUPS["tasks"]),
        ("requirements-dev.txt", GROUPS["local"] + GROUPS["dev"]),
        ("requirements-bench.txt", GROUPS["bench"]),
    ],
)
def test_every_direct_dependency_is_pinned_inside_its_range(name, wanted):
    """make requirements was run after pyproject.toml was changed."""
    pins = pinned(name)
    for text in wanted:
        requirement = Requirement(text)
        assert requirement.specifier.contains(pins[requirement.name.lower()]), text


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt", "requirements-bench.txt"])
def test_every_pin_has_its_hashes(name):
    """Nothing else than what was looked at is installed."""
    blocks = re.split(r"^(?=[a-z])", (ROOT / name).read_text(), flags=re.M)[1:]
    assert blocks
    assert [block for block in blocks if "--hash=sha256:" not in block] == []


@pytest.mark.parametrize("name", ["requirements-dev.txt", "requirements-bench.txt"])
def test_the_files_agree(name):
    """A package in two has one version."""
    one, two = pinned("requirements.txt"), pinned(name)
    assert {name: one[name] for name in one.keys() & two} == {name: two[name] for name in one.keys() & two}


def test_no_tracked_file_names_a_registry_or_a_path_of_one_machine():
    """The project speaks of itself alone."""
    assert problems() == []
