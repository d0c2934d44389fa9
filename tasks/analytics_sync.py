"""The analytics sync: a platform's metrics export goes into the metrics table, batch by batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from celery import shared_task

from jobcast import AnalyticsData, AnalyticsEvent, Progress, broadcast_analytics_event
from jobcast.celery import ProgressTask
from jobcast.celery.error_text import error_text
from jobcast.models import AnalyticsEventType
from tasks.batches import batches
from tasks.csv_table import count_rows
from tasks.errors import InvalidTable
from tasks.metrics_export import WHAT, read_export
from tasks.notifications import Notifications
from tasks.patience import telling_by
from tasks.resources import Resources, workspace
from tasks.tables import LIFETIME

#: Rows per transaction, and per progress event.
BATCH: Final = 500


@shared_task(
    bind=True,
    base=ProgressTask,
    name="tasks.analytics_sync.sync",
    acks_late=True,
    reject_on_worker_lost=True,
    throws=(InvalidTable,),
)
def sync(self: ProgressTask, *, brand_id: str, user_id: str, platform: str, csv_text: str) -> int:
    """Bring a metrics export into the metrics table and return the number of its rows.

    The job's id is the sync's id. Rows are overwritten by their key, so a sync that runs again, or a newer
    export, goes over what is there. Raises InvalidTable, naming row and column; the batches before that row
    stay.
    """
    job_id = self.request.id or ""
    notices = Notifications(job_id, brand_id, user_id)
    try:
        place = workspace()
        total = count_rows(csv_text, WHAT, place.csv_limits)
        report = SyncReport(self.progress, brand_id, platform, job_id, total)
        with telling_by(self.progress):
            _sync(place, csv_text, report)
    except Exception as error:
        notices.failed("Analytics sync failed", error_text(self.app, error, self))
        raise
    notices.sync_complete(f"{total:,} records of {platform} synced")
    return total


def _sync(place: Resources, csv_text: str, report: SyncReport) -> None:
    report.started()
    rows = read_export(csv_text, report.brand_id, report.platform, place.csv_limits)
    for batch in batches(rows, BATCH):
        place.storage.upsert_metrics(batch)
        report.processed(len(batch), _current(batch[-1]["day"]))
    report.completed()


def _current(day: str) -> str:
    return "lifetime metrics" if day == LIFETIME else f"metrics of {day}"


@dataclass
class SyncReport:
    """Says where a sync stands, on the job and on the brand alike."""

    progress: Progress
    brand_id: str
    platform: str
    sync_id: str
    total: int
    records: int = 0

    def started(self) -> None:
        """The total is known, nothing is stored yet."""
        self.progress.update(
            total=self.total, platform=self.platform, description=f"Syncing {self.total:,} records"
        )
        self._send("analytics:sync-started", None)

    def processed(self, count: int, current: str) -> None:
        """``count`` more records are stored."""
        self.records += count
        self._send("analytics:sync-progress", current)
        self.progress.update(details=self._details())
        self.progress.advance(count)

    def completed(self) -> None:
        """Every record is stored."""
        self._send("analytics:sync-completed", None)

    def _details(self) -> dict[str, Any]:
        return {"recordsProcessed": self.records, "totalRecords": self.total}

    def _send(self, kind: AnalyticsEventType, current: str | None) -> None:
        data = AnalyticsData(
            platform=self.platform,
            progress=self._percent(done=kind == "analytics:sync-completed"),
            records_processed=self.records,
            total_records=self.total,
            current_metric=current,
        )
        event = AnalyticsEvent(sync_id=self.sync_id, event_type=kind, data=data)
        broadcast_analytics_event(self.brand_id, event)

    def _percent(self, *, done: bool) -> float:
        """0 to 100; an export without rows is done when it is done."""
        if done:
            return 100.0
        return round(100 * self.records / self.total, 2) if self.total else 0.0
