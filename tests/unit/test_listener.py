"""The listener outlives whatever its callbacks do."""

from __future__ import annotations

import itertools

import redis

from jobcast.embedded import EmbeddedValkey
from jobcast.server.redis.channels import Channels
from jobcast.server.redis.listener import Listener, dialler


def test_an_error_of_our_own_does_not_end_the_listening(valkey: EmbeddedValkey):
    """The first time it listens something is wrong; it listens again, and hears."""
    times = itertools.count()

    def listening() -> None:
        if next(times) == 0:
            raise RuntimeError("wrong")
        with redis.Redis.from_url(valkey.url) as client:
            client.publish("unit-listener", "heard")

    listener = Listener(
        dialler(valkey.url),
        Channels("unit-listener", per_topic=False),
        on_listening=listening,
        sleep=lambda _: None,
    )
    messages = listener.messages()
    assert next(messages) == b"heard"
    assert listener.listening
    messages.close()
