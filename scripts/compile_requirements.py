"""Compile ``requirements.txt`` (what a platform installs), ``requirements-dev.txt`` (what else we use) and
``requirements-bench.txt`` (the peers of ``make bench``), with hashes.

What is pinned stays as it is, unless told to ``--upgrade``."""

from __future__ import annotations

import subprocess
import sys

COMPILE = [
    *(sys.executable, "-m", "uv", "pip", "compile", "pyproject.toml", "--quiet", "--universal"),
    *("--python-version", "3.11", "--custom-compile-command", "make requirements"),
    *("--generate-hashes", *sys.argv[1:]),
]


def main() -> None:
    parts = ["--extra", "celery", "--extra", "server", "--extra", "eventlet", "--group", "tasks"]
    production = [*parts, "-o", "requirements.txt"]
    development = ["--group", "local", "--group", "dev", "-c", "requirements.txt"]
    subprocess.run([*COMPILE, *production], check=True)
    subprocess.run([*COMPILE, *development, "-o", "requirements-dev.txt"], check=True)
    peers = ["--group", "bench", "-c", "requirements.txt", "-c", "requirements-dev.txt"]
    subprocess.run([*COMPILE, *peers, "-o", "requirements-bench.txt"], check=True)


if __name__ == "__main__":
    main()
