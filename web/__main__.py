"""``python -m web``: one Socket.IO process on ``$PORT``, or ``$WEB_CONCURRENCY`` of them.

``python -m web token`` mints tokens for development; see its ``--help``.
"""

import os
import sys

COMMAND = [sys.executable, "-m", "web"]

if sys.argv[1:2] == ["token"]:
    from jobcast.cli.token import token

    sys.exit(token.main(sys.argv[2:], prog_name="python -m web token"))
if sys.argv[1:]:
    sys.exit(f"jobcast web: no such command: {sys.argv[1]}; there is only token")

asked = os.environ.get("WEB_CONCURRENCY", "")
# As in processes.wanted, which must not be imported where something is to be patched.
if "JOBCAST_WEB_PROCESS" not in os.environ and asked.isdigit() and int(asked) > 1:
    from jobcast.server.run import processes

    sys.exit(processes.main("jobcast web", int(asked), COMMAND))

mode = os.environ.get("SOCKETIO_ASYNC_MODE", "eventlet")
if mode == "eventlet":
    import warnings

    # Not a DeprecationWarning, so it has to be filtered by its text; docs/decisions/eventlet.md knows.
    warnings.filterwarnings("ignore", message=r"\s*Eventlet is deprecated")
    import eventlet

    eventlet.monkey_patch()  # before everything else, and never a fork afterwards
elif mode == "gevent":
    try:
        from gevent import monkey
    except ImportError:
        sys.exit("jobcast web: SOCKETIO_ASYNC_MODE: gevent is not installed")
    monkey.patch_all()

from jobcast.server.run import entry  # noqa: E402
from web.app import create_app  # noqa: E402
from web.settings import WebSettings  # noqa: E402

sys.exit(entry.main("jobcast web", WebSettings.from_environment, create_app))
