"""The end of a server process: let nobody in, tell everybody, see them out.

``docs/decisions/end-of-a-web-process.md`` says why so.
"""

from __future__ import annotations

import logging
import os
import random
from collections.abc import Callable
from typing import Final

from jobcast.models import ServerRestarting
from jobcast.server.attach import Server
from jobcast.server.run.application import Closable

logger = logging.getLogger(__name__)

#: Seconds clients are given to go; a platform kills after 30.
DRAIN_TIMEOUT: Final = 5.0
#: Seconds in which they hear that the server restarts.
TELL_SECONDS: Final = 0.3
#: Seconds after which it ends whatever happens.
STOP_TIMEOUT: Final = 20.0
#: Milliseconds over which clients spread their return.
RETURN_WITHIN_MS: Final = 5_000

Sleep = Callable[[float], None]


def stop(server: Server, acceptor: Closable, sleep: Sleep) -> None:
    """Let nobody in, tell everybody, see them out, end."""
    logger.info("stopping")
    acceptor.close()
    say_restarting(server)
    sleep(TELL_SECONDS)
    _see_out(server, sleep)
    logging.shutdown()
    os._exit(0)


def _see_out(server: Server, sleep: Sleep) -> None:
    """Close a few at a time; their handlers run, and they do not all come back at once.

    Without a CLOSE packet, after which some clients would not come back by themselves.
    """
    sockets = server.socketio.eio.sockets
    rounds = max(1, int(DRAIN_TIMEOUT / 0.1))
    share = len(sockets) // rounds + 1
    for _ in range(rounds):
        for sid in list(sockets)[:share]:
            if gone := sockets.pop(sid, None):
                gone.close(wait=False, abort=True)
        sleep(0.1)
        if not sockets:
            return


def say_restarting(server: Server) -> None:
    """Give each client a moment of its own to come back at."""
    socketio = server.socketio
    for namespace in ("/", "/default"):
        for sid, _ in socketio.manager.get_participants(namespace, None):
            message = ServerRestarting(retry_after_ms=random.randint(100, RETURN_WITHIN_MS))  # noqa: S311
            socketio.emit("server:restarting", message.wire(), namespace=namespace, to=sid, ignore_queue=True)
