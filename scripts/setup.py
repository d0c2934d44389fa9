"""Prepare ``.venv/`` and the built client with nothing but Python; repeat nothing that did not change.

Runs under the system's Python, so it uses the standard library only.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
CLIENT = ROOT / "client"
#: Where the client is built to, so that a wheel has it.
STATIC = ROOT / "jobcast" / "flask" / "static"
REQUIREMENTS = (ROOT / "requirements.txt", ROOT / "requirements-dev.txt")
INSTALL = ("install", "-q", *(argument for path in REQUIREMENTS for argument in ("-r", path)))
#: How a failed build of a package says that there was nothing to build it with.
NO_COMPILER = re.compile(r"\b(gcc|g\+\+|cc|clang|cargo|rustc|c compiler)\b", re.I)
COMPILERS = ("cc", "gcc", "clang")
#: Parts of the client that do not end up in the build.
NOT_BUILT = ("node_modules", "tests")


class SetupError(Exception):
    """Raised with the one line that says what is wrong and what to do."""


def main() -> int:
    try:
        check_python()
        make_venv()
        install_python_packages()
        install_node_packages()
        build_client()
    except SetupError as error:
        print(f"setup: {error}", file=sys.stderr)
        return 1
    except OSError as error:  # read-only, somebody else's, or full
        print(f"setup: {error.filename or ROOT}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


def check_python() -> None:
    if sys.version_info < (3, 11):  # noqa: UP036  # this runs before requires-python is checked
        raise SetupError(f"Python 3.11 or newer is needed; this is {sys.version.split()[0]}")


def make_venv() -> None:
    if PYTHON.exists() and subprocess.run([PYTHON, "-c", ""], check=False).returncode == 0:
        return
    say("creating .venv")
    shutil.rmtree(VENV, ignore_errors=True)
    try:
        venv.create(VENV, with_pip=True, symlinks=True)
    except subprocess.CalledProcessError as error:
        raise SetupError(
            "this Python cannot make a .venv; on Debian: apt-get install python3-venv"
        ) from error


def install_python_packages() -> None:
    stamp, wanted = VENV / ".installed", fingerprint(REQUIREMENTS)
    if read(stamp) == wanted:
        return
    uv = shutil.which("uv")
    say("installing Python packages" + ("" if uv else " (with uv on PATH this takes seconds)"))
    if not (uv and succeeds([uv, "pip", *INSTALL, "--python", PYTHON])):  # uv does not read pip's settings
        run([PYTHON, "-m", "pip", *INSTALL], "Python packages could not be installed")
    stamp.write_text(wanted)


def install_node_packages() -> None:
    stamp = CLIENT / "node_modules" / ".installed"
    wanted = fingerprint([CLIENT / "package.json", CLIENT / "package-lock.json"])
    if read(stamp) == wanted:
        return
    say("installing client packages")
    npm("ci", "--no-audit", "--no-fund")
    stamp.write_text(wanted)


def build_client() -> None:
    stamp, wanted = STATIC / ".built", fingerprint(client_sources())
    if read(stamp) == wanted:
        return
    say("building the client")
    npm("run", "--silent", "build")
    stamp.write_text(wanted)


def client_sources() -> list[Path]:
    files = (path for path in CLIENT.rglob("*") if path.is_file())
    return sorted(p for p in files if p.relative_to(CLIENT).parts[0] not in NOT_BUILT)


def npm(*arguments: str) -> None:
    """Node comes from PyPI, so that no system Node is needed."""
    command = [PYTHON, ROOT / "scripts" / "node.py", "npm", "--prefix", CLIENT, *arguments]
    run(command, "the client could not be built")


def execute(command: list[object]) -> subprocess.CompletedProcess[str]:
    words = [str(part) for part in command]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)


def succeeds(command: list[object]) -> bool:
    return execute(command).returncode == 0


def run(command: list[object], what: str) -> None:
    result = execute(command)
    if result.returncode != 0:
        raise SetupError(reason(what, (result.stderr or result.stdout).strip()))


def reason(what: str, output: str) -> str:
    """One line if the cause is known; otherwise the end of the output goes first."""
    if NO_COMPILER.search(output) and not any(map(shutil.which, COMPILERS)):
        return f"{what}: no C compiler was found; on Debian: apt-get install build-essential"
    if "No space left on device" in output or "ENOSPC" in output:
        return f"{what}: no space left on the disk"
    print(output[-3000:], file=sys.stderr)
    return f"{what}; the reason stands above"


def fingerprint(paths: Iterable[Path]) -> str:
    """One hash over names and contents."""
    digest = hashlib.sha256(sys.version.encode())
    for path in paths:
        digest.update(str(path.relative_to(ROOT)).encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def read(stamp: Path) -> str:
    return stamp.read_text() if stamp.exists() else ""


def say(what: str) -> None:
    print(f"setup: {what} …", flush=True)


if __name__ == "__main__":
    sys.exit(main())
