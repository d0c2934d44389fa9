"""``jobcast serve`` on eventlet; run as a file, since importing it would import the rest of us first."""

import sys
import warnings
from pathlib import Path

# Not a DeprecationWarning, so it has to be filtered by its text; docs/decisions/eventlet.md knows.
warnings.filterwarnings("ignore", message=r"\s*Eventlet is deprecated")

import eventlet  # noqa: E402

eventlet.monkey_patch()  # before everything else, and never a fork afterwards
sys.path.append(str(Path(__file__).resolve().parents[2]))  # for where we are not installed

from jobcast.cli.server import serve_here  # noqa: E402

if __name__ == "__main__":
    sys.exit(serve_here())
