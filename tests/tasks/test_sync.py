"""The analytics sync: rows in the table, true numbers on the brand's topic."""

from __future__ import annotations

import dataclasses

import pytest

from tasks import analytics_sync
from tasks.analytics_sync import BATCH, sync
from tasks.csv_table import CsvLimits
from tasks.resources import Resources
from tests.tasks.conftest import analytics_of, csv_text, notifications_of
from tests.tasks.test_storage import metrics

HEADER = ("Post ID", "Description", "Date", "Views")
OWNER = {"brand_id": "acme", "user_id": "ana", "platform": "instagram"}
ROWS = BATCH * 2 + 100


@pytest.fixture
def events(ledger, flush):
    """The brand's events, oldest first."""

    def read():
        flush()
        return analytics_of(ledger, "acme")

    return read


@pytest.fixture
def inbox(ledger, flush):
    """What ana was told, oldest first."""

    def read():
        flush()
        return notifications_of(ledger, "ana")

    return read


def export(rows=ROWS, views=1, bad_row=None):
    body = [(n, "two\nlines", "09/15/2026", "x" if n + 2 == bad_row else views) for n in range(rows)]
    return csv_text(HEADER, *body)


def run(text, job_id="sync-1"):
    return sync.apply(task_id=job_id, kwargs=OWNER | {"csv_text": text})


def test_every_row_is_stored_and_every_number_is_true(ledger, events, inbox, settings):
    """Line breaks inside cells are not counted as records."""
    assert run(export()).state == "SUCCESS"
    assert len(metrics(settings.database_url)) == ROWS
    told = events()
    assert told[0].event_type == "analytics:sync-started"
    assert told[-1].event_type == "analytics:sync-completed"
    assert {e.sync_id for e in told} == {"sync-1"}
    assert {(e.data.platform, e.data.total_records) for e in told} == {("instagram", ROWS)}
    assert (told[0].data.progress, told[0].data.records_processed) == (0, 0)
    assert (told[-1].data.progress, told[-1].data.records_processed) == (100, ROWS)
    state = ledger.job("sync-1")
    assert (state.status, state.completed, state.total) == ("completed", ROWS, ROWS)
    assert state.current_platform == "instagram"
    (notification,) = inbox()
    assert (notification.type, notification.message) == ("sync-complete", "1,100 records of instagram synced")


def test_progress_is_reported_per_batch(monkeypatch, ledger):
    """Each event says what has been stored, and of which metrics."""
    sent = []
    monkeypatch.setattr(
        "tasks.analytics_sync.broadcast_analytics_event", lambda brand, event: sent.append(event)
    )
    run(export())
    progress = [event.data for event in sent if event.event_type == "analytics:sync-progress"]
    assert [data.records_processed for data in progress] == [BATCH, BATCH * 2, ROWS]
    assert [data.progress for data in progress] == [45.45, 90.91, 100]
    assert {data.current_metric for data in progress} == {"metrics of 2026-09-15"}


def test_a_second_sync_overwrites_and_notifies_once_per_job(settings, inbox):
    """Delivered again, or a newer export of the same days."""
    run(export(views=1))
    run(export(views=2))
    stored = metrics(settings.database_url)
    assert (len(stored), {row.views for row in stored}) == (ROWS, {2})
    assert len(inbox()) == 1


def test_a_bad_row_fails_the_sync_with_its_number(ledger, events, inbox, settings):
    """The batches before it stay, and the bar stays where it was."""
    run(export(bad_row=BATCH + 20))
    told = events()
    assert told[-1].event_type == "analytics:sync-progress"
    state = ledger.job("sync-1")
    assert (state.status, state.completed, state.total) == ("failed", BATCH, ROWS)
    assert state.error == "metrics export, row 520, column \"Views\": expected a whole number, not 'x'"
    assert [(n.type, n.message) for n in inbox()] == [("job-failed", state.error)]
    assert len(metrics(settings.database_url)) == BATCH


def test_an_export_without_rows_completes(ledger, events):
    """There is nothing to do, and that is done."""
    run(csv_text(HEADER))
    assert [e.data.progress for e in events()] == [0, 100]
    assert ledger.job("sync-1").status == "completed"


def test_the_settings_limits_hold_for_uploads(place, monkeypatch, ledger, flush):
    """Rows over JOBCAST_CSV_MAX_ROWS fail the sync before a single one is stored."""
    limited = dataclasses.replace(place, csv_limits=CsvLimits(rows=ROWS - 1))
    monkeypatch.setattr(analytics_sync, "workspace", lambda: limited)
    run(export())
    flush()
    state = ledger.job("sync-1")
    assert (state.status, state.completed) == ("failed", None)
    assert state.error.endswith(f"the file has more than {ROWS - 1:,} rows (JOBCAST_CSV_MAX_ROWS)")


def test_the_workspace_has_the_settings_limits(settings):
    """Read from the environment's three variables."""
    chosen = {"jobcast_csv_max_bytes": 4096, "jobcast_csv_max_rows": 5, "jobcast_csv_max_columns": 6}
    place = Resources.from_settings(settings.model_copy(update=chosen))
    assert place.csv_limits == CsvLimits(characters=4096, rows=5, columns=6)
