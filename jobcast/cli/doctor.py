"""``jobcast doctor``: whether this machine's settings and its Redis are as reports and pushes need them."""

from __future__ import annotations

import sys
import time
import uuid
from collections.abc import Callable
from typing import Any, Final

import click
from redis.exceptions import RedisError

from jobcast.cli.environment import described
from jobcast.errors import JobcastError
from jobcast.ledger.connection import connect
from jobcast.server.settings import ServerSettings
from jobcast.settings import Settings

#: Oldest major version of Redis, or of Valkey, which counts on from 7.
OLDEST_REDIS: Final = 6
#: Seconds a key of ours may stay if we die in between, and a message may take.
KEY_SECONDS: Final = 10
MESSAGE_SECONDS: Final = 2.0


class Unfit(JobcastError):
    """Raised with what is wrong and, where it is known, what to do."""


@click.command(epilog=described(Settings))
def doctor() -> None:
    """Check the settings and the Redis they name, a line each; 1 when something is wrong."""
    settings = check("settings", _read_settings)
    if settings is None:
        sys.exit(1)
    client = connect(settings.store_url)
    fit = [
        check("Redis answers", lambda: _ask_version(client)),
        check("Redis can be written and read", lambda: _write_and_read(client)),
        check("Redis passes messages on", lambda: _publish_and_receive(client, settings.socketio_channel)),
    ]
    client.close()
    sys.exit(0 if all(fit) else 1)


def check(what: str, look: Callable[[], Any]) -> Any:
    """What ``look`` returns, or None when it raised; either is said in one line."""
    try:
        found = look()
    except (JobcastError, RedisError, OSError) as error:
        reason = " ".join(str(error).split())
        click.echo(f"✗ {what}: {reason}")
        return None
    click.echo(f"✓ {what}" + (f": {found}" if isinstance(found, str) else ""))
    return found


def _read_settings() -> Settings:
    ServerSettings.from_environment()
    return Settings.from_environment().require_redis()


def _ask_version(client: Any) -> str:
    # A cluster answers for each of its nodes.
    info = client.info("server")
    version = str(info.get("redis_version") or next(iter(info.values()))["redis_version"])
    if int(version.split(".")[0]) < OLDEST_REDIS:
        raise Unfit(f"{version} is too old, {OLDEST_REDIS} or newer is needed")
    return version


def _write_and_read(client: Any) -> bool:
    key, value = f"jobcast:doctor:{uuid.uuid4().hex}", uuid.uuid4().hex
    client.set(key, value, ex=KEY_SECONDS)
    read = client.get(key)
    client.delete(key)
    if read != value:
        raise Unfit(f"read {read!r} where {value!r} was written")
    return True


def _publish_and_receive(client: Any, channel: str) -> bool:
    """On a channel of its own, beside the one that servers listen to."""
    own, value = f"{channel}:doctor:{uuid.uuid4().hex}", uuid.uuid4().hex
    with client.pubsub(ignore_subscribe_messages=True) as listening:
        listening.subscribe(own)
        deadline = time.monotonic() + MESSAGE_SECONDS
        published = False
        while time.monotonic() < deadline:
            message = listening.get_message(timeout=0.1)
            if message and message["data"] == value:
                return True
            if not published and listening.subscribed:
                client.publish(own, value)
                published = True
    raise Unfit(f"nothing came within {MESSAGE_SECONDS:g} s on a channel of its own")
