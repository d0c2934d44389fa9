"""A thread beside a loop of green threads: while a task blocks the loop, nothing else there could say so.

With gevent and eventlet the reporter is a green thread like the tasks. One that computes, or calls what was
not patched, keeps it from renewing leases; the job is not lost, its process is busy. A thread of the
operating system notices, with a connection of its own: locks and sockets of the loop's are not for it.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from typing import Any, Final

from jobcast.busy_jobs import BusyJobs
from jobcast.ledger import Ledger

logger = logging.getLogger(__name__)

#: Celery's pools of green threads.
GREEN_POOLS: Final = frozenset({"celery.concurrency.gevent", "celery.concurrency.eventlet"})


def watch(pool: str, ledger: Ledger, jobs: BusyJobs, pause: float) -> None:
    """Look after these jobs for ever, every ``pause`` seconds, in a thread that no loop can block.

    ``pool`` is one of ``GREEN_POOLS``.
    """
    _native_start(pool)(_watch, (ledger, jobs, pause))


def _watch(ledger: Ledger, jobs: BusyJobs, pause: float) -> None:
    said = False
    while True:
        time.sleep(pause)
        try:
            jobs.look(ledger, time.monotonic())
        except Exception as error:  # noqa: BLE001  # the store is away; the next look tries again
            if not said:
                logger.warning("jobs of a blocked loop are not looked after: %r", error)
            said = True


def _native_start(pool: str) -> Callable[..., Any]:
    """What starts a thread of the operating system where ``threading`` was replaced."""
    if pool.endswith("gevent"):
        monkey: Any = sys.modules["gevent.monkey"]
        start: Callable[..., Any] = monkey.get_original("_thread", "start_new_thread")
        return start
    patcher: Any = sys.modules["eventlet.patcher"]
    original: Callable[..., Any] = patcher.original("threading")._start_new_thread  # noqa: SLF001  # no public name
    return original
