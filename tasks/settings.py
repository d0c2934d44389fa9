"""The settings only the work needs, on top of the deployment's."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

from pydantic import Field

from jobcast.settings import CsvSettings, Milliseconds

_EXAMPLES: Final = Path(__file__).resolve().parent.parent / "examples"


class WorkSettings(CsvSettings):
    """Read like ``Settings``: field names are the environment variables in lower case."""

    database_url: str = "sqlite:///var/jobcast.db"
    #: Where the local platform stores published media.
    jobcast_media_root: Path = Path("var/media")
    #: The local platform's simulated network latency per delivery; 0 switches it off.
    jobcast_local_delay_ms: Milliseconds = 50
    #: The folder that the media paths of posts are relative to.
    jobcast_media_source: Path = _EXAMPLES / "media"
    #: Largest picture or video that is fetched from a URL, in bytes, and how long that may take in all.
    jobcast_media_max_bytes: Annotated[int, Field(ge=1024)] = 64 * 1024 * 1024
    jobcast_media_timeout_ms: Annotated[int, Field(ge=100, le=600_000)] = 30_000
    #: Rows and columns of an uploaded CSV file.
    jobcast_csv_max_rows: Annotated[int, Field(ge=1)] = 200_000
    jobcast_csv_max_columns: Annotated[int, Field(ge=1)] = 256
