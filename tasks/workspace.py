"""What a worker process works with, made from the environment when its first task needs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from tasks.media import MediaSource
from tasks.platforms import Platform, make_platforms
from tasks.settings import WorkSettings
from tasks.storage import Storage


@dataclass(frozen=True, slots=True)
class Workspace:
    """Where posts are stored, where their media is, and where they go."""

    storage: Storage
    media: MediaSource
    platforms: Mapping[str, Platform]

    @classmethod
    def from_settings(cls, settings: WorkSettings) -> Workspace:
        """Opens nothing yet."""
        storage = Storage(settings.database_url)
        platforms = make_platforms(settings, storage)
        return cls(storage, MediaSource(settings.jobcast_media_source), platforms)


@lru_cache(maxsize=1)
def workspace() -> Workspace:
    """This process's workspace; raises InvalidSetting for an environment that cannot be read."""
    return Workspace.from_settings(WorkSettings.from_environment())
