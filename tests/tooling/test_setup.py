"""``make setup`` repeats nothing, and says in one line why it cannot go on."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess

import pytest

from scripts import setup
from tests.stack import ROOT

GCC_MISSING = "error: command 'gcc' failed: No such file or directory"


@pytest.fixture
def no_compiler(tmp_path, monkeypatch):
    """A PATH without anything on it."""
    monkeypatch.setenv("PATH", str(tmp_path))


def test_a_missing_compiler_is_one_line(no_compiler, capsys):
    """The pages that a failed build prints are left out."""
    line = setup.reason("Python packages could not be installed", f"a page of output\n{GCC_MISSING}")
    assert line.endswith("no C compiler was found; on Debian: apt-get install build-essential")
    assert capsys.readouterr().err == ""


def test_a_compiler_that_is_there_is_not_called_missing(tmp_path, monkeypatch, capsys):
    """Then the output is the reason."""
    (tmp_path / "gcc").write_text("#!/bin/sh\n")
    (tmp_path / "gcc").chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert setup.reason("it failed", "gcc: fatal error") == "it failed; the reason stands above"
    assert "gcc: fatal error" in capsys.readouterr().err


def test_a_full_disk_is_one_line(capsys):
    """npm and pip say it in words of their own."""
    for output in ("OSError: [Errno 28] No space left on device", "npm error code ENOSPC"):
        assert setup.reason("it failed", output) == "it failed: no space left on the disk"
    assert capsys.readouterr().err == ""


def test_a_fingerprint_is_of_names_and_contents(tmp_path, monkeypatch):
    """Times do not count: a fresh checkout has new ones."""
    monkeypatch.setattr(setup, "ROOT", tmp_path)
    source = tmp_path / "main.ts"
    source.write_text("one")
    before = setup.fingerprint([source])
    os.utime(source, (1, 1))
    assert setup.fingerprint([source]) == before
    source.write_text("two")
    assert setup.fingerprint([source]) != before
    source.write_text("one")
    assert setup.fingerprint([source.rename(tmp_path / "app.ts")]) != before


def test_nothing_is_built_twice(tmp_path, monkeypatch):
    """Only a changed source, or a deleted build, makes another one; a changed test does not."""
    built, static = [], tmp_path / "node_modules"  # a folder that is no source

    def npm(*arguments: str) -> None:
        static.mkdir(exist_ok=True)
        built.append(arguments)

    for name, value in (("ROOT", tmp_path), ("CLIENT", tmp_path), ("STATIC", static), ("npm", npm)):
        monkeypatch.setattr(setup, name, value)

    def builds() -> int:
        setup.build_client()
        return len(built)

    (tmp_path / "main.ts").write_text("one")
    assert [builds(), builds()] == [1, 1]
    (tmp_path / "main.ts").write_text("two")
    assert [builds(), builds()] == [2, 2]
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "main.test.ts").write_text("three")
    assert builds() == 2
    shutil.rmtree(static)
    assert builds() == 3


@pytest.mark.parametrize(("uv_works", "commands"), [(True, ["uv"]), (False, ["uv", "pip"])])
def test_pip_takes_over_where_uv_fails(tmp_path, monkeypatch, uv_works, commands):
    """uv reads neither pip's configuration nor its environment."""
    used = []
    monkeypatch.setattr(setup, "VENV", tmp_path)
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/uv")
    monkeypatch.setattr(setup, "succeeds", lambda command: used.append("uv") or uv_works)
    monkeypatch.setattr(setup, "run", lambda command, what: used.append("pip"))
    setup.install_python_packages()
    assert used == commands
    setup.install_python_packages()
    assert used == commands


def test_make_alone_lists_every_target_in_a_line():
    """A target nobody can find does not exist."""
    command = ["make", "--no-print-directory"]  # this may itself run under make
    output = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    listed = {line.split()[1] for line in output.splitlines()}
    declared = next(
        line for line in (ROOT / "Makefile").read_text().splitlines() if line.startswith(".PHONY")
    )
    assert listed == set(declared.split()[1:])
