"""The settings that only a server reads: who may come, how often, and how they are told."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, field_validator
from pydantic_settings import NoDecode

from jobcast.server.allowed_origins import AllowedOrigins
from jobcast.settings import Milliseconds, Settings

_LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})

Limit = Annotated[int, Field(ge=1, le=1_000_000)]


def _jwks_url(value: str) -> str:
    parts = urlsplit(value)
    is_local = parts.scheme == "http" and parts.hostname in _LOOPBACK_HOSTS
    if value and parts.scheme != "https" and not is_local:
        raise ValueError("has to start with https://; keys that came over http could be anybody's")
    return value


class ServerSettings(Settings):
    """Read like ``Settings``: field names are the environment variables in lower case."""

    host: str = ""
    port: Annotated[int, Field(ge=0, le=65_535)] = 5000
    socketio_cors_origin: Annotated[tuple[str, ...], NoDecode] = ("http://localhost:5173",)
    socketio_reconnection_delay: Milliseconds = 1000
    socketio_reconnection_delay_max: Milliseconds = 5000
    socketio_async_mode: str = "eventlet"
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
    #: How often the hooks poll when there is no push; told to browsers by /api/config.
    jobcast_polling_interval_ms: Milliseconds = 5000
    #: Seconds between pings, below the 55 s of silence after which platforms cut a connection, and how many
    #: a client may take to answer one.
    jobcast_ping_interval: Annotated[int, Field(ge=1, le=50)] = 20
    jobcast_ping_timeout: Annotated[int, Field(ge=1, le=120)] = 20
    #: Whether WebSockets are served beside WSGI; false sends them through eventlet's own server.
    jobcast_front_door: bool = True
    #: What the audit log has: ``changes`` and refusals, and with a key who comes and goes; ``all``: every
    #: subscription too; ``off``: nothing.
    jobcast_audit: Literal["all", "changes", "off"] = "changes"
    #: Proxies in front of this process that add to X-Forwarded-For; it is not believed otherwise. Heroku: 1.
    jobcast_proxy_hops: Annotated[int, Field(ge=0, le=10)] = 0
    #: Whether a polling session is served only where it was opened; false for clients that leave by several
    #: addresses.
    jobcast_bind_polling: bool = True
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
    #: Bytes a connection may send in a second, of whatever kind; for as long ahead as its messages may be.
    jobcast_limit_bytes_per_second: Annotated[int, Field(ge=1024)] = 256 * 1024
    #: Connections of this process, of every kind; those beyond are turned away.
    jobcast_limit_connections: Limit = 50_000
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

    @field_validator("socketio_cors_origin", mode="after")
    @classmethod
    def _can_be_sent(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        AllowedOrigins(value)
        return value

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
