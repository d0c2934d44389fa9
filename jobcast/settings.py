"""The settings that any process with Jobcast in it reads, once, and passes down from there.

What only a server reads is in ``jobcast.server.settings``; deployments add their own in the same way.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

import redis
from pydantic import AfterValidator, Field, FilePath, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from jobcast.errors import InvalidSetting
from jobcast.ledger.cluster import PREFIX
from jobcast.ledger.sentinel import SCHEMES as SENTINEL_SCHEMES
from jobcast.ledger.sentinel import SentinelUrl, is_sentinel
from jobcast.tls import reserved_in, with_tls

_REDIS_SCHEMES = ("redis://", "rediss://", "unix://", *SENTINEL_SCHEMES)


def _redis_url(value: str) -> str:
    if value and not value.startswith(_REDIS_SCHEMES):
        raise ValueError(f"has to start with one of {', '.join(_REDIS_SCHEMES)}")
    return _readable_url(value)


def _readable_url(value: str) -> str:
    """Raise ValueError, without repeating a password, for a Redis URL that a client could not use."""
    if not value.startswith(_REDIS_SCHEMES):
        return value  # another broker's
    if urlsplit(value).fragment or "#" in value:
        raise ValueError("a # in a user name or password has to be written %23")
    if option := reserved_in(value):
        raise ValueError(f"leave out {option}; JOBCAST_REDIS_CA and JOBCAST_REDIS_TLS_INSECURE decide that")
    if is_sentinel(value):
        SentinelUrl.parse(value)
    else:
        _check_server(value)
    return value


def _check_server(value: str) -> None:
    parts = urlsplit(value)
    try:
        port = parts.port
    except ValueError:
        raise ValueError(
            "the port has to be a number up to 65535 (is there a : or @ in a password?)"
        ) from None
    if port == 0:
        raise ValueError("the port cannot be 0")
    if parts.scheme != "unix" and not re.fullmatch(r"/?\d{0,9}", parts.path):
        raise ValueError("the database, after the last /, has to be a number")
    try:
        redis.ConnectionPool.from_url(value)
    except (ValueError, TypeError) as error:
        raise ValueError(str(error) or "cannot be read") from None


Milliseconds = Annotated[int, Field(ge=0, le=3_600_000)]


class Settings(BaseSettings):
    """Where reports go and how often; field names are the environment variables in lower case."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    redis_url: Annotated[str, AfterValidator(_redis_url)] = ""
    #: Authorities' certificates (PEM) that a ``rediss://`` server is checked with; default: the system's.
    jobcast_redis_ca: FilePath | None = None
    #: Take whatever certificate a ``rediss://`` server has. Anybody in between can then read along.
    jobcast_redis_tls_insecure: bool = False
    celery_broker_url: Annotated[str, AfterValidator(_readable_url)] = ""
    socketio_debounce_ms: Milliseconds = 1000
    socketio_channel: str = "flask-socketio"
    #: "shared": one Redis channel for everything; "topic": one per topic, so that a web process is sent only
    #: what its clients follow; "sharded": the same on a Redis Cluster, of which REDIS_URL names any node. Web
    #: processes first, then workers (docs/decisions/channels.md).
    jobcast_channels: Literal["shared", "topic", "sharded"] = "shared"
    #: Events kept per topic for clients that resume.
    jobcast_history_events: Annotated[int, Field(ge=1, le=10_000)] = 100
    #: Seconds a job can be read after its terminal state.
    jobcast_retention_seconds: Annotated[int, Field(ge=60)] = 86_400
    #: Which exceptions' texts browsers get: "public": those that are meant for people (jobcast.PublicError, a
    #: task's ``throws``); "all": every one, SQL and host names with it.
    jobcast_error_detail: Literal["public", "all"] = "public"
    #: One lease period: a worker that misses one is stalled, one that misses three is lost.
    jobcast_lease_ms: Annotated[int, Field(ge=100, le=600_000)] = 5000

    @field_validator("jobcast_channels", mode="after")
    @classmethod
    def _queue_elsewhere(cls, value: str, info: ValidationInfo) -> str:
        if value == "sharded" and not info.data.get("celery_broker_url", "").startswith(_REDIS_SCHEMES):
            raise ValueError(
                "sharded needs CELERY_BROKER_URL: a Redis that is no cluster, for tasks and results"
            )
        return value

    @property
    def store_url(self) -> str:
        """``REDIS_URL`` as a client is to open it: with the options of TLS."""
        url = with_tls(
            self.redis_url, insecure=self.jobcast_redis_tls_insecure, authorities=self.jobcast_redis_ca
        )
        return f"{PREFIX}{url}" if self.is_sharded else url

    @property
    def is_sharded(self) -> bool:
        """Whether events travel on the sharded channels of a cluster."""
        return self.jobcast_channels == "sharded"

    @property
    def result_url(self) -> str:
        """Where Celery keeps results: Redis, or beside the queue where that is a cluster."""
        return self.celery_broker_url if self.is_sharded else self.redis_url

    @property
    def broker_url(self) -> str:
        """Where tasks are queued: ``CELERY_BROKER_URL``, or else Redis."""
        return self.celery_broker_url or self.redis_url

    @property
    def debounce_seconds(self) -> float:
        return self.socketio_debounce_ms / 1000

    @property
    def lease_seconds(self) -> float:
        return self.jobcast_lease_ms / 1000

    @classmethod
    def from_environment(cls, **overrides: Any) -> Self:
        """Read the environment; raise InvalidSetting, one line that names the variable."""
        try:
            return cls(**overrides)
        except ValidationError as error:
            first = error.errors()[0]
            variable = str(first["loc"][0]).upper() if first["loc"] else "settings"
            raise InvalidSetting(variable, first["msg"].removeprefix("Value error, ")) from error

    def require_redis(self) -> Self:
        """Return self, or raise InvalidSetting when ``REDIS_URL`` is not set."""
        if not self.redis_url:
            raise InvalidSetting(
                "REDIS_URL", "not set; `make run` starts an embedded server, anything else needs one"
            )
        return self


class CsvSettings(Settings):
    """What both halves of a deployment that takes CSV files have to agree on."""

    #: Largest CSV file, in bytes; rows and columns are limited by the worker.
    jobcast_csv_max_bytes: Annotated[int, Field(ge=1024)] = 8 * 1024 * 1024
