"""Redis behind Sentinel: ``redis+sentinel://[user:password@]host[:port][,host…]/service[/database]``.

The password is the store's; that of the sentinels themselves is ``?sentinel_password=…``. Each new connection
asks them for the primary of the moment, so that after a failover everybody goes on with its successor.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, cast
from urllib.parse import parse_qs, quote, unquote, urlsplit

import redis
from redis.sentinel import Sentinel, SentinelConnectionPool

SCHEMES: Final = ("redis+sentinel://", "sentinel://")
DEFAULT_PORT: Final = 26379


class SentinelPool(SentinelConnectionPool, redis.BlockingConnectionPool):
    """Connections to the primary, as many as one server's client may have."""


@dataclass(frozen=True, slots=True)
class SentinelUrl:
    """What such a URL says."""

    sentinels: tuple[tuple[str, int], ...]
    service: str
    database: int = 0
    username: str = ""
    password: str = ""
    sentinel_password: str = ""

    @classmethod
    def parse(cls, url: str) -> SentinelUrl:
        """Raise ValueError, with the reason, for what cannot be used."""
        parts = urlsplit(url)
        credentials, _, hosts = parts.netloc.rpartition("@")
        username, _, password = credentials.partition(":")
        service, _, database = parts.path.strip("/").partition("/")
        if not service:
            raise ValueError("has to name the service: redis+sentinel://host:26379/SERVICE/0")
        if database and not database.isdigit():
            raise ValueError("the database after the service is a number")
        given = parse_qs(parts.query)
        if unknown := sorted(given.keys() - {"sentinel_password"}):
            raise ValueError(f"{unknown[0]} is no option of a sentinel's URL")
        return cls(
            tuple(_address(host) for host in hosts.split(",")),
            unquote(service),
            int(database or 0),
            unquote(username),
            unquote(password),
            given.get("sentinel_password", [""])[0],
        )

    def connect(self, **options: Any) -> redis.Redis:
        """A client of the primary; nothing is connected yet."""
        timeouts = {name: value for name, value in options.items() if name.startswith("socket_")}
        sentinel: Any = cast(Any, Sentinel)(
            list(self.sentinels), sentinel_kwargs=timeouts | self.sentinel_options
        )
        client: redis.Redis = sentinel.master_for(
            self.service,
            connection_pool_class=SentinelPool,
            db=self.database,
            username=self.username or None,
            password=self.password or None,
            **options,
        )
        return client

    @property
    def sentinel_options(self) -> dict[str, Any]:
        """Options of connections to the sentinels."""
        return {"password": self.sentinel_password} if self.sentinel_password else {}

    @property
    def celery_url(self) -> str:
        """The same for Celery, which gets the service's name as a transport option."""
        user, password = quote(self.username, safe=""), quote(self.password, safe="")
        credentials = f"{user}:{password}@" if user or password else ""
        return ";".join(
            f"sentinel://{credentials}{_bracketed(host)}:{port}/{self.database}"
            for host, port in self.sentinels
        )

    @property
    def celery_options(self) -> dict[str, Any]:
        """Transport options, of the broker as of the result backend."""
        return {"master_name": self.service, "sentinel_kwargs": self.sentinel_options}


def is_sentinel(url: str) -> bool:
    return url.startswith(SCHEMES)


def _address(text: str) -> tuple[str, int]:
    parts = urlsplit(f"//{text}")
    if not parts.hostname:
        raise ValueError("names no sentinel")
    return parts.hostname, parts.port or DEFAULT_PORT


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
