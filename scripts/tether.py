"""Run a command that is told to stop when its parent ends, however the parent ends.

``python tether.py PARENT COMMAND …``. Linux keeps the promise; elsewhere the command just runs.
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


def tether(signum: int) -> None:
    """Have this process sent ``signum`` when the thread that started it ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signum)


def tethered(parent: int | str) -> list[str]:
    """What to put before a command line; ``parent`` is the process that is going to start it."""
    return [sys.executable, "-I", "-S", str(Path(__file__).resolve()), str(parent)]


def main(parent: str, *command: str) -> None:
    tether(signal.SIGTERM)
    if os.getppid() != int(parent):
        sys.exit("the parent ended before the tether held")
    os.execvp(command[0], command)  # noqa: S606


if __name__ == "__main__":
    main(*sys.argv[1:])
