"""A browser is found, or installed, or asked for in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts import find_browser
from scripts.find_browser import HELP, BrowserMissing, ensure_browser, installers


def program(folder: Path, name: str, exit_code: int = 0) -> str:
    """An executable that ends with this code, whatever it is asked."""
    path = folder / name
    path.write_text(f"#!/bin/sh\nexit {exit_code}\n")
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def bare(tmp_path, monkeypatch):
    """A machine whose PATH is one empty folder."""
    monkeypatch.delenv("JOBCAST_BROWSER", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(find_browser, "PLACES", ())
    monkeypatch.setattr(find_browser, "playwrights_own", lambda: None)
    return tmp_path


def test_a_browser_on_path_is_found(bare):
    """Chromium and Chrome go by several names."""
    chrome = program(bare, "google-chrome")
    assert ensure_browser() == chrome


def test_the_variable_comes_first(bare, monkeypatch):
    """It is also the only one looked at."""
    program(bare, "chromium")
    monkeypatch.setenv("JOBCAST_BROWSER", program(bare, "mine"))
    assert ensure_browser() == str(bare / "mine")


def test_a_variable_that_names_no_browser_installs_nothing(bare, monkeypatch):
    """Somebody who sets it wants that one, not another."""
    program(bare, "chromium")
    monkeypatch.setenv("JOBCAST_BROWSER", str(bare / "nothing"))
    monkeypatch.setattr(find_browser, "install", lambda commands: pytest.fail("installed something"))
    with pytest.raises(BrowserMissing, match="JOBCAST_BROWSER"):
        ensure_browser()


def test_a_program_that_does_not_start_is_passed_over(bare):
    """Some distributions ship a stub that only says where to get the browser."""
    program(bare, "chromium-browser", exit_code=1)
    chrome = program(bare, "google-chrome")
    assert ensure_browser() == chrome


def test_installers_are_tried_until_there_is_a_browser(bare, monkeypatch):
    """What has worked is the end of it."""
    tried = []
    monkeypatch.setattr(find_browser, "installers", lambda: iter(["first", "second", "third"]))

    def install(commands):
        tried.append(commands)
        if commands == "second":
            program(bare, "chromium")

    monkeypatch.setattr(find_browser, "install", install)
    assert ensure_browser() == str(bare / "chromium")
    assert tried == ["first", "second"]


def test_without_any_browser_one_line_says_what_to_install(bare, monkeypatch):
    """It names a command and the variable."""
    monkeypatch.setattr(find_browser, "install", lambda commands: None)
    with pytest.raises(BrowserMissing) as raised:
        ensure_browser()
    assert str(raised.value) == HELP
    assert "\n" not in HELP


@pytest.mark.parametrize(
    ("user", "programs"), [(0, ["apt-get", "playwright"]), (1000, ["playwright"])], ids=["root", "user"]
)
def test_apt_is_for_root_alone(bare, monkeypatch, user, programs):
    """Playwright's installer needs no rights and comes last."""
    program(bare, "apt-get")
    monkeypatch.setattr("os.geteuid", lambda: user)
    ways = [" ".join(commands[-1]) for commands in installers()]
    assert [name in way for name, way in zip(programs, ways, strict=True)] == [True] * len(programs)
