"""Find a Chrome or Chromium for the browser tests, or install one; print its path."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
PLACES: Final = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
#: Seconds a browser may take to say its version.
VERSION_TIMEOUT: Final = 20
HELP: Final = "no Chrome or Chromium: install one (Debian: apt-get install chromium) or set JOBCAST_BROWSER"


class BrowserMissing(Exception):
    """Raised when there is no browser and none could be installed."""


def find_browser() -> str | None:
    """The path of an installed browser that starts; ``JOBCAST_BROWSER``, when set, is the only candidate."""
    given = os.environ.get("JOBCAST_BROWSER")
    candidates = (given,) if given else NAMES + PLACES
    paths = (shutil.which(candidate) for candidate in candidates)
    found = next((path for path in paths if path and starts(path)), None)
    return found or (None if given else playwrights_own())


def starts(path: str) -> bool:
    """Whether it says its version; a distribution's stub or a browser without its libraries does not."""
    try:
        result = subprocess.run(
            [path, "--version"], capture_output=True, timeout=VERSION_TIMEOUT, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return result.returncode == 0


def playwrights_own() -> str | None:
    """The browser Playwright has installed, if it has."""
    code = "import playwright.sync_api as a\nwith a.sync_playwright() as p: print(p.chromium.executable_path)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    path = result.stdout.strip()
    return path if path and Path(path).exists() and starts(path) else None


def installers() -> Iterator[list[list[str]]]:
    """Ways to get a browser: apt when root on Debian, then Playwright's own installer."""
    if shutil.which("apt-get") and os.geteuid() == 0:
        install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium"]
        yield [["apt-get", "update", "-qq"], install]
    yield [[sys.executable, "-m", "playwright", "install", "chromium"]]


def install(commands: list[list[str]]) -> None:
    """Run them, as far as they go; whether there is a browser afterwards is all that counts."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in commands:
        print(f"browser: {' '.join(command[-3:])} …", flush=True)
        subprocess.run(
            command, env=environment, check=False, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL
        )


def ensure_browser() -> str:
    """The path of a browser, installed now if need be; raises BrowserMissing."""
    found = find_browser()
    for commands in () if os.environ.get("JOBCAST_BROWSER") else installers():
        if found:
            break
        install(commands)
        found = find_browser()
    if not found:
        raise BrowserMissing(HELP)
    return found


if __name__ == "__main__":
    try:
        print(f"browser: {ensure_browser()}")
    except BrowserMissing as error:
        sys.exit(f"browser: {error}")
