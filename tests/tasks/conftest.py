"""A workspace of one's own, and a ledger in memory that hears what tasks report."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from celery import Celery

from jobcast import AnalyticsEvent, Notification, broadcaster
from jobcast.broadcaster import Broadcaster
from jobcast.ledger import Ledger, MemoryLedger
from jobcast.reporter import Reporter
from jobcast.topics import brand_topic, user_topic
from tasks import analytics_sync, publishing
from tasks.resources import Resources
from tasks.settings import WorkSettings


@pytest.fixture
def settings(tmp_path: Path) -> WorkSettings:
    """An SQLite file and a media root in a new folder, and no latency."""
    return WorkSettings(
        database_url=f"sqlite:///{tmp_path}/var/jobcast.db",
        jobcast_media_root=tmp_path / "media",
        jobcast_media_source=tmp_path / "source",
        jobcast_local_delay_ms=0,
    )


@pytest.fixture
def source(settings: WorkSettings) -> Path:
    """The media folder, with two pictures of which one is in there twice."""
    folder = settings.jobcast_media_source
    (folder / "inner").mkdir(parents=True)
    (folder / "a.png").write_bytes(b"picture a")
    (folder / "inner" / "b.jpg").write_bytes(b"picture b")
    (folder / "inner" / "copy-of-a.PNG").write_bytes(b"picture a")
    return folder


@pytest.fixture
def place(settings: WorkSettings, source: Path) -> Iterator[Resources]:
    """A workspace over these settings."""
    made = Resources.from_settings(settings)
    yield made
    made.storage.close()


@pytest.fixture
def ledger(place: Resources, monkeypatch: pytest.MonkeyPatch) -> Iterator[MemoryLedger]:
    """What this process's tasks report into, while they use this workspace."""
    app = Celery("tests", broker="memory://", backend="cache+memory://")
    app.set_current()
    memory = MemoryLedger(history=1_000)
    reporter = Reporter(memory, interval=0.0)
    broadcaster.use(Broadcaster(reporter))
    for module in (publishing, analytics_sync):
        monkeypatch.setattr(module, "workspace", lambda: place)
    yield memory
    reporter.close()
    broadcaster.use(None)


@pytest.fixture
def flush() -> Callable[[], None]:
    """Wait until the ledger has all that was reported."""

    def wait() -> None:
        assert broadcaster.default_broadcaster().reporter.flush()

    return wait


def notifications_of(ledger: Ledger, user_id: str) -> list[Notification]:
    """What this user was told, oldest first."""
    events = ledger.history(user_topic(user_id)).events
    return [Notification.model_validate_json(event.payload) for event in events]


def analytics_of(ledger: Ledger, brand_id: str) -> list[AnalyticsEvent]:
    """What this brand's followers were told, oldest first."""
    events = ledger.history(brand_topic(brand_id)).events
    return [AnalyticsEvent.model_validate_json(event.payload) for event in events]


def csv_text(*rows: Sequence[object]) -> str:
    """The rows as a CSV file."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue()
