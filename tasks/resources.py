"""What a worker process works with, made from the environment when its first task needs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from tasks.csv_table import DEFAULT_LIMITS, CsvLimits
from tasks.media import MediaSource
from tasks.platforms import Platform, make_platforms
from tasks.remote_media import RemoteMedia
from tasks.settings import WorkSettings
from tasks.storage import Storage


@dataclass(frozen=True, slots=True)
class Resources:
    """Where posts are stored, where their media is, and where they go."""

    storage: Storage
    media: MediaSource
    platforms: Mapping[str, Platform]
    csv_limits: CsvLimits = DEFAULT_LIMITS

    @classmethod
    def from_settings(cls, settings: WorkSettings) -> Resources:
        """Opens nothing yet."""
        storage = Storage(settings.database_url)
        platforms = make_platforms(settings, storage)
        return cls(storage, _media(settings), platforms, _csv_limits(settings))


def _media(settings: WorkSettings) -> MediaSource:
    remote = RemoteMedia(
        settings.jobcast_media_root,
        most=settings.jobcast_media_max_bytes,
        timeout=settings.jobcast_media_timeout_ms / 1000,
    )
    return MediaSource(settings.jobcast_media_source, remote)


def _csv_limits(settings: WorkSettings) -> CsvLimits:
    return CsvLimits(
        characters=settings.jobcast_csv_max_bytes,
        rows=settings.jobcast_csv_max_rows,
        columns=settings.jobcast_csv_max_columns,
    )


@lru_cache(maxsize=1)
def workspace() -> Resources:
    """This process's workspace; raises InvalidSetting for an environment that cannot be read."""
    return Resources.from_settings(WorkSettings.from_environment())
