"""``python -m web``: one Socket.IO process on ``$PORT``, or ``$WEB_CONCURRENCY`` of them.

``python -m web token`` mints tokens for development; see its ``--help``.
"""

import sys

if sys.argv[1:2] == ["token"]:
    from web import token_command as tokens

    sys.exit(tokens.main(sys.argv[2:]))
if sys.argv[1:]:
    sys.exit(f"jobcast web: no such command: {sys.argv[1]}; there is only token")

from web import processes

if count := processes.wanted():
    sys.exit(processes.main(count))

import warnings

# Not a DeprecationWarning, so it has to be filtered by its text; docs/decisions/eventlet.md knows.
warnings.filterwarnings("ignore", message=r"\s*Eventlet is deprecated")

import eventlet  # noqa: E402

eventlet.monkey_patch()  # before everything else, and never a fork afterwards

from web.server import main  # noqa: E402

sys.exit(main())
