"""The loops that a server runs beside its clients."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from typing import Final

from jobcast.server.attach import Server
from jobcast.server.delivery.direct import DirectConnection
from jobcast.server.sessions import TICK_SECONDS as LOOK

logger = logging.getLogger(__name__)

#: Seconds between two comparisons of positions on live connections.
COMPARE_EVERY: Final = 10.0
#: Seconds that what was stored may take to get here, besides those for which it is held back.
ON_ITS_WAY: Final = 0.5
#: Seconds until a comparison that the store did not answer is made again.
COMPARE_AGAIN: Final = 0.5
#: Seconds between two looks for clients that poll and went without a word.
CHECK_POLLS_EVERY: Final = 10.0
#: Seconds between two looks for jobs that are followed and not known any more.
RETIRE_EVERY: Final = 60.0
#: Seconds between two looks for progress whose interval is over.
TICK_SECONDS: Final = 0.02

Sleep = Callable[[float], None]
Loop = Callable[[Server, Sleep], None]


def start(server: Server) -> None:
    """Listen to Redis and run every loop, in the way of the server's async mode."""
    server.manager.start()
    for loop in LOOPS:
        server.socketio.start_background_task(forever, loop, server, server.socketio.sleep)


def forever(loop: Loop, server: Server, sleep: Sleep) -> None:
    """Run one loop, whatever happens in it."""
    while True:
        try:
            loop(server, sleep)
        except Exception:
            logger.exception("a background loop goes on after an error")
            sleep(1)


def _release(server: Server, sleep: Sleep) -> None:
    server.resync.those_behind()
    due = server.fanout.debouncer.next_due()
    sleep(TICK_SECONDS if due is None else min(max(due, 0.001), TICK_SECONDS))
    server.fanout.release_due()


def _compare(server: Server, sleep: Sleep) -> None:
    sleep(COMPARE_EVERY * random.uniform(0.8, 1.2))  # noqa: S311
    if server.manager.listener.listening:
        server.resync.compare(lambda: sleep(server.settings.debounce_seconds + ON_ITS_WAY))


def _compare_again(server: Server, sleep: Sleep) -> None:
    """A store that is just back may be listened to before it can be read."""
    sleep(COMPARE_AGAIN)
    if server.manager.listener.listening and not server.resync.in_step:
        server.resync.everybody()


def _pulse(server: Server, sleep: Sleep) -> None:
    server.loop_lag.beat(sleep)


def _poll_check(server: Server, sleep: Sleep) -> None:
    """Part with stock clients, those that poll, that went without a word."""
    sleep(CHECK_POLLS_EVERY)
    sockets = server.socketio.eio.sockets
    for sid, found in list(sockets.items()):
        if not isinstance(found, DirectConnection) and (found.closed or not found.check_ping_timeout()):
            sockets.pop(sid, None)


def _sweep(server: Server, sleep: Sleep) -> None:
    sleep(server.settings.lease_seconds / 2 * random.uniform(0.8, 1.2))  # noqa: S311
    server.sweeper.sweep()


def _retire(server: Server, sleep: Sleep) -> None:
    sleep(RETIRE_EVERY * random.uniform(0.8, 1.2))  # noqa: S311
    server.subscription_expiry.look()


def _session(server: Server, sleep: Sleep) -> None:
    sleep(LOOK)
    server.sessions.tick()


#: All of them.
LOOPS: Final[tuple[Loop, ...]] = (
    _release,
    _compare,
    _compare_again,
    _pulse,
    _poll_check,
    _sweep,
    _retire,
    _session,
)
