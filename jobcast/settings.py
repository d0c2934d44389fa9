"""Every setting, read once from the environment at an entry point and passed down from there."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, FilePath, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from jobcast.errors import InvalidSetting
from jobcast.ledger.cluster import PREFIX
from jobcast.tls import reserved_in, with_tls

_REDIS_SCHEMES = ("redis://", "rediss://", "unix://")
_LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})


def _redis_url(value: str) -> str:
    if value and not value.startswith(_REDIS_SCHEMES):
        raise ValueError(f"has to start with one of {', '.join(_REDIS_SCHEMES)}")
    return _no_tls_options(value)


def _no_tls_options(value: str) -> str:
    if option := reserved_in(value):
        raise ValueError(f"leave out {option}; JOBCAST_REDIS_CA and JOBCAST_REDIS_TLS_INSECURE decide that")
    return value


def _jwks_url(value: str) -> str:
    parts = urlsplit(value)
    is_local = parts.scheme == "http" and parts.hostname in _LOOPBACK_HOSTS
    if value and parts.scheme != "https" and not is_local:
        raise ValueError("has to start with https://; keys that came over http could be anybody's")
    return value


Milliseconds = Annotated[int, Field(ge=0, le=3_600_000)]
Limit = Annotated[int, Field(ge=1, le=1_000_000)]


class Settings(BaseSettings):
    """The deployment's settings; field names are the environment variables in lower case."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    redis_url: Annotated[str, AfterValidator(_redis_url)] = ""
    #: Authorities' certificates (PEM) that a ``rediss://`` server is checked with; default: the system's.
    jobcast_redis_ca: FilePath | None = None
    #: Take whatever certificate a ``rediss://`` server has. Anybody in between can then read along.
    jobcast_redis_tls_insecure: bool = False
    celery_broker_url: Annotated[str, AfterValidator(_no_tls_options)] = ""
    database_url: str = "sqlite:///var/jobcast.db"
    host: str = ""
    port: Annotated[int, Field(ge=0, le=65_535)] = 5000

    socketio_cors_origin: Annotated[tuple[str, ...], NoDecode] = ("http://localhost:5173",)
    socketio_reconnection_delay: Milliseconds = 1000
    socketio_reconnection_delay_max: Milliseconds = 5000
    socketio_debounce_ms: Milliseconds = 1000
    socketio_channel: str = "flask-socketio"
    socketio_async_mode: str = "eventlet"
    #: "shared": one Redis channel for everything; "topic": one per topic, so that a web process is sent only
    #: what its clients follow; "sharded": the same on a Redis Cluster, of which REDIS_URL names any node. Web
    #: processes first, then workers (docs/decisions/channels.md).
    jobcast_channels: Literal["shared", "topic", "sharded"] = "shared"
    #: Web processes on one port; more than one serves WebSockets only, as polls need one process.
    web_concurrency: Annotated[int, Field(ge=1, le=256)] = 1
    #: A secret of at least 32 bytes (HS256), or a public key in PEM (RS256, ES256; ``\\n`` for line ends).
    socketio_jwt_key: str = ""
    #: Accepted algorithms; empty: HS256 for a secret, what the public key is for otherwise.
    socketio_jwt_algorithms: Annotated[tuple[str, ...], NoDecode] = ()
    #: Where the issuer publishes its keys, instead of a key here; read again when they rotate.
    jobcast_jwks_url: Annotated[str, AfterValidator(_jwks_url)] = ""
    #: What a token's ``aud`` has to contain and its ``iss`` has to be; empty: not looked at.
    jobcast_jwt_audience: str = ""
    jobcast_jwt_issuer: str = ""

    #: Events kept per topic for clients that resume.
    jobcast_history_events: Annotated[int, Field(ge=1, le=10_000)] = 100
    #: Seconds a job can be read after its terminal state.
    jobcast_retention_seconds: Annotated[int, Field(ge=60)] = 86_400
    #: One lease period: a worker that misses one is stalled, one that misses three is lost.
    jobcast_lease_ms: Annotated[int, Field(ge=100, le=600_000)] = 5000
    #: How often the hooks poll when there is no push; told to browsers by /api/config.
    jobcast_polling_interval_ms: Milliseconds = 5000
    #: Where the local platform stores published media.
    jobcast_media_root: Path = Path("var/media")
    #: Seconds between pings, below the 55 s of silence after which platforms cut a connection, and how many
    #: a client may take to answer one.
    jobcast_ping_interval: Annotated[int, Field(ge=1, le=50)] = 20
    jobcast_ping_timeout: Annotated[int, Field(ge=1, le=120)] = 20
    #: Whether WebSockets are served beside WSGI; false sends them through eventlet's own server.
    jobcast_front_door: bool = True
    #: Largest request body, in bytes.
    jobcast_max_body_bytes: Annotated[int, Field(ge=1024)] = 16 * 1024 * 1024
    #: What the audit log has: ``changes`` and refusals, and with a key who comes and goes; ``all``: every
    #: subscription too; ``off``: nothing.
    jobcast_audit: Literal["all", "changes", "off"] = "changes"
    #: Largest CSV file, in bytes; rows and columns are limited by the worker.
    jobcast_csv_max_bytes: Annotated[int, Field(ge=1024)] = 8 * 1024 * 1024

    #: Proxies in front of this process that add to X-Forwarded-For; it is not believed otherwise. Heroku: 1.
    jobcast_proxy_hops: Annotated[int, Field(ge=0, le=10)] = 0
    #: Seconds a connection may be open without having joined a namespace, and a request's head may take.
    jobcast_handshake_seconds: Annotated[int, Field(ge=1, le=300)] = 10
    # Limits count per process. An address is an IPv4 address or an IPv6 /64, a user a token's ``sub``.
    #: Connections open at once; plain requests and those that say nothing are counted apart from the others.
    jobcast_limit_connections_per_address: Limit = 500
    jobcast_limit_connections_per_user: Limit = 100
    #: Connections of an address that have not joined a namespace yet.
    jobcast_limit_pending_handshakes: Limit = 100
    #: Connections an address may open within a minute.
    jobcast_limit_handshakes_per_minute: Limit = 600
    #: Socket.IO messages of one connection: the steady rate, and how many may come at once on top. A
    #: client that follows 1,000 topics sends as many when it reconnects.
    jobcast_limit_events_per_second: Limit = 50
    jobcast_limit_event_burst: Limit = 2_000
    #: Topics one connection may follow.
    jobcast_limit_subscriptions: Limit = 1_000
    #: Largest Socket.IO message from a client, in bytes.
    jobcast_limit_message_bytes: Annotated[int, Field(ge=1024)] = 64 * 1024
    #: HTTP requests of a user, or of an address as long as nobody says who asks.
    jobcast_limit_requests_per_minute: Limit = 1_200
    #: Whether this machine's own addresses are counted, which a proxy on it would share with everybody.
    jobcast_limit_loopback: bool = False

    @field_validator("socketio_cors_origin", "socketio_jwt_algorithms", mode="before")
    @classmethod
    def _split_commas(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

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
    def bind_host(self) -> str:
        """The address to listen on: loopback only, as long as no key tells users apart."""
        return self.host or ("0.0.0.0" if self.has_key else "127.0.0.1")  # noqa: S104

    @property
    def has_key(self) -> bool:
        """Whether tokens can be told apart from forgeries; only this machine is served otherwise."""
        return bool(self.socketio_jwt_key or self.jobcast_jwks_url)

    @property
    def binds_loopback(self) -> bool:
        return self.bind_host in _LOOPBACK_HOSTS

    @property
    def shares_port(self) -> bool:
        """Whether several web processes listen on one port."""
        return self.web_concurrency > 1

    @property
    def debounce_seconds(self) -> float:
        return self.socketio_debounce_ms / 1000

    @property
    def lease_seconds(self) -> float:
        return self.jobcast_lease_ms / 1000

    @classmethod
    def from_environment(cls, **overrides: Any) -> Settings:
        """Read the environment; raise InvalidSetting, one line that names the variable."""
        try:
            return cls(**overrides)
        except ValidationError as error:
            first = error.errors()[0]
            variable = str(first["loc"][0]).upper() if first["loc"] else "settings"
            raise InvalidSetting(variable, first["msg"]) from error

    def require_redis(self) -> Settings:
        """Return self, or raise InvalidSetting when ``REDIS_URL`` is not set."""
        if not self.redis_url:
            raise InvalidSetting(
                "REDIS_URL", "not set; `make run` starts an embedded server, anything else needs one"
            )
        return self
