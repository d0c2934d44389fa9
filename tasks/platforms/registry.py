"""Which platforms there are. A new adapter is a class in this folder and one line here."""

from __future__ import annotations

from typing import Final

from tasks.platforms.local import LocalPlatform
from tasks.platforms.port import Platform
from tasks.settings import WorkSettings
from tasks.storage import Storage

#: Names that store locally. The three after ``local`` are stand-ins, until an adapter for the API is added.
LOCAL_NAMES: Final = ("local", "facebook", "instagram", "linkedin")


def make_platforms(settings: WorkSettings, storage: Storage) -> dict[str, Platform]:
    """The platforms by name."""
    latency = settings.jobcast_local_delay_ms / 1000
    root = settings.jobcast_media_root
    platforms: list[Platform] = [
        *(LocalPlatform(name, storage, root, latency=latency) for name in LOCAL_NAMES),
    ]
    return {platform.name: platform for platform in platforms}
