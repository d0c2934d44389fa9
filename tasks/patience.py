"""Patience with a database that is away, restarting, locked or full: the job waits, and says so.

What passes is tried again until it works; only a cancel ends the wait. What does not pass, such as a wrong
password or a missing column, is raised at once.
"""

from __future__ import annotations

import functools
import logging
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final, ParamSpec, TypeVar

from sqlalchemy.exc import DBAPIError

from jobcast import Progress

logger = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")

#: Seconds between two tries, at first and at most.
FIRST_PAUSE: Final = 0.2
LONGEST_PAUSE: Final = 5.0
WAITING: Final = "Waiting for the database"
_SQLITE: Final = frozenset(
    (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
)
#: PostgreSQL's classes: connection lost, out of resources, stopping or starting, cannot be locked, a
#: transaction that has to be run again, a primary that was demoted, a disk that fails.
_POSTGRESQL: Final = ("08", "53", "57P", "55P03", "40001", "40P01", "25006", "58030")
#: What a server that refuses to be connected to says when it would say so for ever.
_FINAL: Final = ("authentication failed", "does not exist", "no pg_hba.conf entry", "no password supplied")

_tell: ContextVar[Callable[[], None]] = ContextVar("tell", default=lambda: None)


@contextmanager
def telling(tell: Callable[[], None]) -> Iterator[None]:
    """Have ``tell`` called before each wait in here; what it raises ends the wait."""
    token = _tell.set(tell)
    try:
        yield
    finally:
        _tell.reset(token)


@contextmanager
def telling_by(progress: Progress) -> Iterator[None]:
    """Show each wait as the job's description, and put the former one back afterwards."""
    before: list[str] = []

    def tell() -> None:
        shown = progress.facts().description or ""
        if shown != WAITING:
            before[:] = [shown]
        progress.update(description=WAITING)  # raises JobCancelled for a job that was asked to stop

    def again() -> None:
        if progress.facts().description == WAITING:
            progress.update(description=before[0])

    with telling(tell):
        token = _again.set(again)
        try:
            yield
        finally:
            _again.reset(token)


_again: ContextVar[Callable[[], None]] = ContextVar("again", default=lambda: None)


def patiently(method: Callable[P, R]) -> Callable[P, R]:
    """Run again what a database could not do for now. It is run more than once, so it has to bear that."""

    @functools.wraps(method)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        pause = FIRST_PAUSE
        while True:
            try:
                result = method(*args, **kwargs)
            except DBAPIError as error:
                if not is_passing(error):
                    raise
                logger.warning("the database does not answer, trying again: %s", error.orig)
            else:
                if pause > FIRST_PAUSE:
                    _again.get()()
                return result
            _tell.get()()
            time.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    return wrapper


def is_passing(error: DBAPIError) -> bool:
    """Whether the same statement may work later."""
    cause: Any = error.orig
    if isinstance(cause, sqlite3.Error):
        return getattr(cause, "sqlite_errorcode", 0) & 0xFF in _SQLITE
    state = getattr(cause, "sqlstate", None)
    if state:
        return str(state).startswith(_POSTGRESQL)
    is_about_connecting = error.connection_invalidated or type(cause).__name__ == "OperationalError"
    return is_about_connecting and not any(words in str(cause) for words in _FINAL)
