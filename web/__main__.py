"""``python -m web``: one Socket.IO process on ``$PORT``."""

import warnings

# Not a DeprecationWarning, so it has to be filtered by its text; docs/decisions/eventlet.md knows.
warnings.filterwarnings("ignore", message=r"\s*Eventlet is deprecated")

import eventlet  # noqa: E402

eventlet.monkey_patch()  # before everything else, and never a fork afterwards

import sys  # noqa: E402

from web.server import main  # noqa: E402

sys.exit(main())
