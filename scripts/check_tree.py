"""What must not be in a tracked file: package registries' addresses, paths of one machine, merge marks."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FORBIDDEN = {
    "a package registry's address": re.compile(
        r"\b(pypi\.org|pythonhosted\.org|npmjs\.(org|com))\b|://[^\s\"'/]*(pypi|npm|registry|artifact)", re.I
    ),
    "a path of one machine": re.compile(r"(?<![\w./*])/(root|work|home/\w+|Users/\w+)/"),
    "a merge mark": re.compile(r"^(<{7}|>{7}|\|{7}) ", re.M),
}


def problems() -> list[str]:
    """One line per finding."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    found = []
    for name in listed.stdout.splitlines():
        path = ROOT / name
        if path.is_file() and path != Path(__file__).resolve():
            text = path.read_bytes().decode(errors="ignore")
            found += [f"{name}: {what}" for what, pattern in FORBIDDEN.items() if pattern.search(text)]
    return found


if __name__ == "__main__":
    sys.exit("\n".join(problems()) or 0)
