"""The settings that any process with Jobcast in it reads, once, and passes down from there.

What only a server reads is in ``jobcast.server.settings``; deployments add their own in the same way.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, FilePath, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from jobcast.errors import InvalidSetting
from jobcast.ledger.cluster import PREFIX
from jobcast.tls import reserved_in, with_tls

_REDIS_SCHEMES = ("redis://", "rediss://", "unix://")


def _redis_url(value: str) -> str:
    if value and not value.startswith(_REDIS_SCHEMES):
        raise ValueError(f"has to start with one of {', '.join(_REDIS_SCHEMES)}")
    return _no_tls_options(value)


def _no_tls_options(value: str) -> str:
    if option := reserved_in(value):
        raise ValueError(f"leave out {option}; JOBCAST_REDIS_CA and JOBCAST_REDIS_TLS_INSECURE decide that")
    return value


Milliseconds = Annotated[int, Field(ge=0, le=3_600_000)]


class Settings(BaseSettings):
    """Where reports go and how often; field names are the environment variables in lower case."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    redis_url: Annotated[str, AfterValidator(_redis_url)] = ""
    #: Authorities' certificates (PEM) that a ``rediss://`` server is checked with; default: the system's.
    jobcast_redis_ca: FilePath | None = None
    #: Take whatever certificate a ``rediss://`` server has. Anybody in between can then read along.
    jobcast_redis_tls_insecure: bool = False
    celery_broker_url: Annotated[str, AfterValidator(_no_tls_options)] = ""
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
            raise InvalidSetting(variable, first["msg"]) from error

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
