"""A database that is away, locked or full is waited for; the job says so, and ends as if nothing had been."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy.exc import DBAPIError, OperationalError, ProgrammingError

from jobcast import JobCancelled, Progress
from jobcast.topics import job_topic
from tasks import database, patience
from tasks.analytics_sync import sync
from tasks.patience import WAITING, is_passing, telling_by
from tasks.storage import Storage
from tests.stack import wait_for

METRIC = {"brand_id": "acme", "platform": "instagram", "post_id": "1", "day": "2026-09-01", "account": "a",
          "description": "", "post_type": "", "permalink": "", "posted_at": None}  # fmt: skip
EXPORT = "Post ID,Date,Views\n1,09/01/2026,5\n"


@pytest.fixture
def storage(settings, monkeypatch) -> Iterator[Storage]:
    monkeypatch.setattr(database, "BUSY_TIMEOUT", 0.05)
    monkeypatch.setattr(patience, "FIRST_PAUSE", 0.02)
    made = Storage(settings.database_url)
    made.count_posts("none")  # makes the tables
    yield made
    made.close()


@contextmanager
def locked(settings) -> Iterator[None]:
    """By somebody who writes and does not come to an end."""
    other = sqlite3.connect(settings.database_url.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.rollback()
        other.close()


def in_thread(action: Callable[[], object]) -> tuple[threading.Thread, list[BaseException]]:
    failed: list[BaseException] = []

    def run() -> None:
        try:
            action()
        except BaseException as error:  # noqa: BLE001  # a cancel is one; told to the test
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, failed


def test_a_locked_database_is_waited_for_and_the_job_says_so(storage, settings):
    """And says what it did before when the wait is over."""
    progress = Progress("j")
    progress.update(description="Syncing")

    def work() -> None:
        with telling_by(progress):
            storage.upsert_metrics([METRIC])

    with locked(settings):
        thread, failed = in_thread(work)
        wait_for(lambda: progress.facts().description == WAITING)
        assert thread.is_alive()
    thread.join(5)
    assert not failed
    assert progress.facts().description == "Syncing"
    assert len(list(storage.metrics_of("acme"))) == 1


def test_a_cancel_ends_the_wait(storage, settings):
    """Nothing else does."""
    progress = Progress("j")

    def work() -> None:
        with telling_by(progress):
            storage.upsert_metrics([METRIC])

    with locked(settings):
        thread, failed = in_thread(work)
        wait_for(lambda: progress.facts().description == WAITING)
        progress.cancel()
        thread.join(5)
        assert isinstance(failed[0], JobCancelled)


def test_a_reader_who_takes_its_time_keeps_no_writer_from_writing(storage):
    """An export into a pager, left open."""
    storage.upsert_metrics([METRIC | {"post_id": str(n)} for n in range(1_200)])
    reading = storage.metrics_of("acme")
    next(reading)
    storage.upsert_metrics([METRIC | {"post_id": "new"}])
    assert len(list(reading)) == 1_199  # as it was when the reader began


def test_no_statement_is_prepared_for_a_connection_that_a_pooler_may_swap():
    """PgBouncer in transaction mode."""
    engine = database._postgresql(database.parse_url("postgresql://u:p@h/db?connect_timeout=1"))
    connected: dict[str, object] = {}

    def connect(**given: object) -> None:
        connected.update(given)
        raise ConnectionRefusedError

    engine.dialect.dbapi.connect, before = connect, engine.dialect.dbapi.connect
    try:
        with pytest.raises(ConnectionRefusedError):
            engine.connect()
    finally:
        engine.dialect.dbapi.connect = before
    assert connected["prepare_threshold"] is None
    assert connected["connect_timeout"] == "1"


class Refused(Exception):
    def __init__(self, words: str, sqlstate: str | None) -> None:
        super().__init__(words)
        self.sqlstate = sqlstate


Refused.__name__ = "OperationalError"


@pytest.mark.parametrize(
    ("sqlstate", "words", "passes"),
    [
        (None, "connection to server at 127.0.0.1 failed: Connection refused", True),
        (None, "server closed the connection unexpectedly", True),
        ("57P03", "the database system is starting up", True),
        ("57P01", "terminating connection due to administrator command", True),
        ("53100", "No space left on device", True),
        ("53300", "too many clients already", True),
        ("40P01", "deadlock detected", True),
        ("25006", "cannot execute INSERT in a read-only transaction", True),
        (None, 'connection failed: FATAL:  password authentication failed for user "u"', False),
        (None, 'connection failed: FATAL:  database "d" does not exist', False),
        ("42703", 'column "content" does not exist', False),
        ("23505", "duplicate key", False),
    ],
)
def test_what_passes_is_told_from_what_does_not(sqlstate, words, passes):
    """By PostgreSQL's own classes."""
    assert is_passing(OperationalError("SELECT 1", {}, Refused(words, sqlstate))) is passes


def test_a_full_database_passes_and_a_missing_column_does_not(tmp_path):
    """SQLite's own errors."""
    with sqlite3.connect(tmp_path / "full.db") as raw:
        raw.execute("CREATE TABLE t (x)")
        raw.execute("PRAGMA max_page_count = 3")
        with pytest.raises(sqlite3.OperationalError) as full:
            raw.execute("INSERT INTO t VALUES (zeroblob(1000000))")
        with pytest.raises(sqlite3.OperationalError) as missing:
            raw.execute("SELECT y FROM t")
    raw.close()
    assert is_passing(DBAPIError("", {}, full.value))
    assert not is_passing(ProgrammingError("", {}, missing.value))


def test_a_job_that_met_a_locked_database_ends_well(settings, ledger, place, flush, monkeypatch):
    """From the task's side: its followers see that it waits, and then its end."""
    monkeypatch.setattr(database, "BUSY_TIMEOUT", 0.05)
    place.storage.close()
    place.storage.count_posts("none")
    with locked(settings):
        thread, failed = in_thread(
            lambda: sync.apply(
                task_id="j",
                kwargs={"brand_id": "acme", "user_id": "ana", "platform": "local", "csv_text": EXPORT},
            ).get()
        )
        wait_for(lambda: any(WAITING in e.payload for e in ledger.history(job_topic("j")).events))
    thread.join(10)
    flush()
    assert not failed
    assert ledger.job("j").status == "completed"
