"""The settings of this deployment's web process, on top of any server's."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from jobcast.server.settings import ServerSettings
from jobcast.settings import CsvSettings


class WebSettings(ServerSettings, CsvSettings):
    """Read like ``Settings``: field names are the environment variables in lower case."""

    #: Largest request body, in bytes.
    jobcast_max_body_bytes: Annotated[int, Field(ge=1024)] = 16 * 1024 * 1024
