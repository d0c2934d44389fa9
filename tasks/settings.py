"""The settings only the work needs, on top of the deployment's."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, Self, cast

from jobcast.settings import Milliseconds, Settings

_EXAMPLES: Final = Path(__file__).resolve().parent.parent / "examples"


class WorkSettings(Settings):
    """Read like ``Settings``: field names are the environment variables in lower case."""

    #: The local platform's simulated network latency per delivery; 0 switches it off.
    jobcast_local_delay_ms: Milliseconds = 50
    #: The folder that the media paths of posts are relative to.
    jobcast_media_source: Path = _EXAMPLES / "media"

    @classmethod
    def from_environment(cls, **overrides: Any) -> Self:
        """Read the environment; raise InvalidSetting, one line that names the variable."""
        return cast(Self, super().from_environment(**overrides))
