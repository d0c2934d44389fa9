"""The library as others get it: built, and installed into an environment of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.stack import ROOT

UV = (sys.executable, "-m", "uv")


def build(folder: Path) -> Path:
    """The wheel, made from the sdist, so that nothing of an earlier build gets in."""
    _run([*UV, "build", "--quiet", "--out-dir", str(folder), str(ROOT)])
    return next(folder.glob("*.whl"))


def environment(
    folder: Path, *requirements: str, python: str = sys.executable, resolution: str = "highest"
) -> Path:
    """A new environment with these installed; returns its ``bin``."""
    _run([*UV, "venv", "--quiet", "--python", python, str(folder)])
    install = ["pip", "install", "--quiet", "--python", str(folder), "--resolution", resolution]
    _run([*UV, *install, *requirements])
    return folder / "bin"


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise AssertionError(f"{' '.join(command)}\n{done.stderr[-3000:]}")
