"""What may come from the Redis channel, and what may not."""

from __future__ import annotations

import json

import pytest
import redis
import socketio

from jobcast.server.redis import stock_emits as incoming

GOOD = {
    "method": "emit",
    "event": "job:status-changed",
    "data": {"jobId": "j"},
    "namespace": "/jobs",
    "room": "job:j",
    "skip_sid": None,
    "callback": None,
    "host_id": "x",
}


def test_what_a_stock_process_emits_is_taken(valkey):
    """Straight from the library, as it arrives."""
    with redis.Redis.from_url(valkey.url, decode_responses=True) as client, client.pubsub() as channel:
        channel.subscribe("stock")
        assert channel.get_message(timeout=5)["type"] == "subscribe"
        stock = socketio.RedisManager(valkey.url, channel="stock", write_only=True)
        stock.emit("job:status-changed", {"jobId": "j"}, namespace="/jobs", room="job:j")
        taken = incoming.accept(channel.get_message(timeout=5)["data"])
        stock.redis.close()
    assert taken is not None
    assert (taken["event"], taken["room"], taken["data"]) == ("job:status-changed", "job:j", [{"jobId": "j"}])


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"room": ["job:j", "job:k"]},
        {"namespace": "/notifications", "room": "user:ana"},
        {"namespace": "/", "room": None},
        {"namespace": "/default", "room": None},
        {"event": "something:else"},
        {"unknown": "field of a newer release"},
    ],
)
def test_emits_that_reach_clients(change):
    """To a topic's room of its own namespace; to everybody only where nobody's secrets are."""
    assert incoming.accept(json.dumps(GOOD | change)) is not None


@pytest.mark.parametrize(
    "change",
    [
        {"room": None}, {"room": ""}, {"room": []}, {"room": 7}, {"room": {"a": 1}}, {"room": [["job:j"]]},
        {"room": "user:ana"}, {"room": "job:"}, {"room": "job:*"}, {"room": "job:" + "x" * 257},
        {"room": "sOmEsEsSiOnId"}, {"room": ["job:j", "brand:acme"]},
        {"namespace": "/admin"}, {"namespace": ["/jobs"]}, {"namespace": None, "event": ""},
        {"event": None}, {"event": 1}, {"event": "x" * 65}, {"event": "a\nb"}, {"event": "disconnect"},
        {"skip_sid": 7}, {"skip_sid": ["x"] * 17},
        {"method": "enter_room"}, {"method": "disconnect"}, {"method": "close_room"}, {"method": None},
        {"binary": True}, {"data": "x" * incoming.LARGEST_MESSAGE},
    ],
)  # fmt: skip
def test_emits_that_do_not(change):
    """A whole namespace, another kind's room, a foreign name, other methods, too much of anything."""
    assert incoming.accept(json.dumps(GOOD | change)) is None


@pytest.mark.parametrize(
    "text",
    ["", "null", "[]", "7", "{", '{"method":"emit"}', "[" * 100_000, json.dumps(GOOD | {"x": float("nan")})],
)  # fmt: skip
def test_what_is_no_envelope_is_dropped(text):
    """Without an exception, whatever it is."""
    assert incoming.accept(text) is None
