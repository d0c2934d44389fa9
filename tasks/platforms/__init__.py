"""Where posts go: the port, its adapters, and the registry that lists them."""

from tasks.platforms.local import LocalPlatform
from tasks.platforms.port import (
    Media,
    OutgoingPost,
    PermanentPlatformError,
    Platform,
    TemporaryPlatformError,
)
from tasks.platforms.registry import make_platforms

__all__ = [
    "LocalPlatform",
    "Media",
    "OutgoingPost",
    "PermanentPlatformError",
    "Platform",
    "TemporaryPlatformError",
    "make_platforms",
]
