"""Where the tables live: an engine per process, and a schema that is there when it is first asked for.

SQLite is written by several prefork children at once. That needs three things: the write-ahead log, a
busy timeout, and transactions that take the write lock when they begin, unless they only read. One that reads
first and writes later is refused at once when somebody else wrote in between, and no timeout helps.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from jobcast.errors import InvalidSetting
from tasks.tables import Base

#: Seconds a writer waits for the others.
BUSY_TIMEOUT: Final = 5
#: Seconds until a server that does not answer counts as away (libpq's parameters).
_PATIENCE: Final = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}
#: Execution option of what only reads: it takes no write lock, however slowly it is read.
READS: Final = {"jobcast_reads": True}
#: Seconds between two tries to switch a new file to the write-ahead log.
_WAL_PAUSE: Final = 0.02
#: Any number: the PostgreSQL advisory lock under which the schema is made.
_SCHEMA_LOCK: Final = 7_305_121
_DRIVERS: Final = {"sqlite": "sqlite", "postgres": "postgresql+psycopg", "postgresql": "postgresql+psycopg"}


def parse_url(value: str) -> URL:
    """The URL with the driver that is installed; raise InvalidSetting, without repeating a password."""
    try:
        url = make_url(value)
    except (ArgumentError, ValueError) as error:
        raise InvalidSetting("DATABASE_URL", "is not a database URL") from error
    driver = _DRIVERS.get(url.drivername.partition("+")[0])
    if driver is None:
        raise InvalidSetting("DATABASE_URL", "has to start with sqlite:/// or postgresql://")
    return url.set(drivername=driver)


def make_folder(url: URL) -> None:
    """Make the folder of an SQLite file; raise InvalidSetting when that is not allowed."""
    if url.get_backend_name() != "sqlite" or not url.database or url.database == ":memory:":
        return
    folder = Path(url.database).parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidSetting("DATABASE_URL", f"cannot make {folder}: {error.strerror}") from error


class Database:
    """Engines are made lazily and never cross a fork: a connection cannot be shared by two processes."""

    def __init__(self, url: str) -> None:
        self._url = parse_url(url)
        self._engine: Engine | None = None
        self._owner = 0

    @property
    def engine(self) -> Engine:
        """This process's engine, with the schema in place."""
        if self._engine is None or self._owner != os.getpid():
            self.forget()
            self._engine, self._owner = _open(self._url), os.getpid()
        return self._engine

    def forget(self) -> None:
        """Let go of the engine; connections that another process opened are left for it to close."""
        if self._engine is not None:
            self._engine.dispose(close=self._owner == os.getpid())
        self._engine = None


def _open(url: URL) -> Engine:
    engine = _sqlite(url) if url.get_backend_name() == "sqlite" else _postgresql(url)
    with engine.begin() as connection:
        _lock_schema(connection)
        Base.metadata.create_all(connection)
    return engine


def _lock_schema(connection: Connection) -> None:
    """Children that start together make the schema one after the other; SQLite's BEGIN sees to it."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _SCHEMA_LOCK})


def _postgresql(url: URL) -> Engine:
    # A pooler between here and there (PgBouncer in transaction mode) gives each transaction another
    # connection, which knows no statement that was prepared on the one before.
    given = {name: value for name, value in _PATIENCE.items() if name not in url.query}
    return create_engine(url, pool_pre_ping=True, connect_args={"prepare_threshold": None, **given})


def _sqlite(url: URL) -> Engine:
    make_folder(url)
    engine = create_engine(url, connect_args={"timeout": BUSY_TIMEOUT})
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


def _prepare(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver would begin its own transactions, and late
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = NORMAL")  # with the log, safe against a crash of the process
    _until_free(lambda: connection.execute("PRAGMA journal_mode = WAL"))


def _begin(connection: Connection) -> None:
    reads = connection.get_execution_options().get("jobcast_reads", False)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


def _until_free(action: Callable[[], object]) -> None:
    """SQLite's busy timeout does not cover the switch to the write-ahead log."""
    deadline = time.monotonic() + BUSY_TIMEOUT
    while True:
        try:
            action()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(_WAL_PAUSE)
        else:
            return
