"""Find a Chrome or Chromium for the browser tests, or install one; print its path."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
PLACES: Final = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
HELP: Final = "no Chrome or Chromium: install one (Debian: apt-get install chromium) or set JOBCAST_BROWSER"


class BrowserMissing(Exception):
    """Raised when there is no browser and none could be installed."""


def find_browser() -> str | None:
    """The path of an installed browser; ``JOBCAST_BROWSER`` comes first."""
    given = os.environ.get("JOBCAST_BROWSER")
    if given:
        return shutil.which(given)
    on_path = (shutil.which(name) for name in NAMES)
    known = (place for place in PLACES if Path(place).exists())
    return next((found for found in (*on_path, *known) if found), None) or playwrights_own()


def playwrights_own() -> str | None:
    """The browser Playwright has installed, if it has."""
    code = "import playwright.sync_api as a\nwith a.sync_playwright() as p: print(p.chromium.executable_path)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    path = result.stdout.strip()
    return path if path and Path(path).exists() else None


def install_browser() -> None:
    """By apt when root on Debian, by Playwright's installer otherwise."""
    if shutil.which("apt-get") and os.geteuid() == 0:
        commands = [
            ["apt-get", "update", "-qq"],
            ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium"],
        ]
    else:
        commands = [[sys.executable, "-m", "playwright", "install", "chromium"]]
    for command in commands:
        print(f"browser: {' '.join(command[-3:])} …", flush=True)
        subprocess.run(command, check=False, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)


def ensure_browser() -> str:
    """The path of a browser, installed now if need be; raises BrowserMissing."""
    found = find_browser()
    if not found and not os.environ.get("JOBCAST_BROWSER"):
        install_browser()
        found = find_browser()
    if not found:
        raise BrowserMissing(HELP)
    return found


if __name__ == "__main__":
    try:
        print(f"browser: {ensure_browser()}")
    except BrowserMissing as error:
        sys.exit(f"browser: {error}")
