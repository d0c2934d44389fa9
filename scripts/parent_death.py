"""Run a command that is told to stop when its parent ends, however the parent ends.

``python die_with_parent.py PARENT COMMAND …``. Linux keeps the promise; elsewhere the command just runs.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from pathlib import Path
from typing import Final

#: From <sys/prctl.h>; survives exec.
PR_SET_PDEATHSIG: Final = 1


def die_with_parent(signum: int) -> None:
    """Have this process sent ``signum`` when the thread that started it ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signum)


def dying_with_parent(parent: int | str) -> list[str]:
    """What to put before a command line; ``parent`` is the process that is going to start it."""
    return [sys.executable, "-I", "-S", str(Path(__file__).resolve()), str(parent)]


def main(parent: str, *command: str) -> None:
    die_with_parent(signal.SIGTERM)
    if os.getppid() != int(parent):
        sys.exit("the parent ended before the die_with_parent held")
    os.execvp(command[0], command)  # noqa: S606


if __name__ == "__main__":
    main(*sys.argv[1:])
