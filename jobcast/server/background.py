"""What a web process does by itself, again and again."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from typing import Final

from jobcast.server.sessions import TICK_SECONDS as LOOK
from jobcast.server.websocket.connection import WebSocketConnection
from web.app import Web
from web.gc_freeze import TIDY_EVERY

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
Loop = Callable[[Web, Sleep], None]


def forever(loop: Loop, web: Web, sleep: Sleep) -> None:
    """Run one loop, whatever happens in it."""
    while True:
        try:
            loop(web, sleep)
        except Exception:
            logger.exception("a background loop goes on after an error")
            sleep(1)


def _release(web: Web, sleep: Sleep) -> None:
    web.fanout.serve_those_behind()
    due = web.fanout.debouncer.next_due()
    sleep(TICK_SECONDS if due is None else min(max(due, 0.001), TICK_SECONDS))
    web.fanout.release_due()


def _compare(web: Web, sleep: Sleep) -> None:
    sleep(COMPARE_EVERY * random.uniform(0.8, 1.2))  # noqa: S311
    if web.manager.listener.listening:
        web.fanout.compare(lambda: sleep(web.settings.debounce_seconds + ON_ITS_WAY))


def _compare_again(web: Web, sleep: Sleep) -> None:
    """A store that is just back may be listened to before it can be read."""
    sleep(COMPARE_AGAIN)
    if web.manager.listener.listening and not web.fanout.in_step:
        web.fanout.resync()


def _pulse(web: Web, sleep: Sleep) -> None:
    web.loop_lag.beat(sleep)


def _poll_check(web: Web, sleep: Sleep) -> None:
    """Part with stock clients, those that poll, that went without a word."""
    sleep(CHECK_POLLS_EVERY)
    sockets = web.socketio.server.eio.sockets
    for sid, found in list(sockets.items()):
        if type(found) is not WebSocketConnection and (found.closed or not found.check_ping_timeout()):
            sockets.pop(sid, None)


def _sweep(web: Web, sleep: Sleep) -> None:
    sleep(web.settings.lease_seconds / 2 * random.uniform(0.8, 1.2))  # noqa: S311
    web.sweeper.sweep()


def _retire(web: Web, sleep: Sleep) -> None:
    sleep(RETIRE_EVERY * random.uniform(0.8, 1.2))  # noqa: S311
    web.subscription_expiry.look()


def _session(web: Web, sleep: Sleep) -> None:
    sleep(LOOK)
    web.sessions.tick()


def _tidy(web: Web, sleep: Sleep) -> None:
    sleep(TIDY_EVERY)
    web.gc_freeze.tidy()


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
    _tidy,
)
