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
        {"room": "sOmE-sEsSiOn_Id12345"},
        {"namespace": "/chat", "room": "lobby"}, {"namespace": "/chat", "room": None},
        {"namespace": "/chat", "room": ["lobby", 7]},
        {"callback": ["job:j", "/jobs", 3]},
        {"binary": True, "data": [[{"b": {"_placeholder": True, "num": 0}}], "AAE="]},
    ],
)  # fmt: skip
def test_emits_that_reach_clients(change):
    """To a topic's room of its own namespace; to everybody only where nobody's secrets are."""
    assert incoming.accept(json.dumps(GOOD | change)) is not None


@pytest.mark.parametrize(
    "change",
    [
        {"room": None}, {"room": ""}, {"room": []}, {"room": 7}, {"room": {"a": 1}}, {"room": [["job:j"]]},
        {"room": "user:ana"}, {"room": "job:"}, {"room": "job:*"}, {"room": "job:" + "x" * 257},
        {"room": "sOmEsEsSiOnId"}, {"room": ["job:j", "brand:acme"]},
        {"namespace": "admin"}, {"namespace": ["/jobs"]}, {"namespace": "/" + "x" * 256},
        {"namespace": "/chat", "room": {"a": 1}}, {"namespace": "/chat", "room": [["lobby"]]},
        {"namespace": None, "event": ""},
        {"event": None}, {"event": 1}, {"event": "x" * 65}, {"event": "a\nb"}, {"event": "disconnect"},
        {"skip_sid": 7}, {"skip_sid": ["x"] * 17},
        {"method": "enter_room"}, {"method": "disconnect"}, {"method": "close_room"}, {"method": None},
        {"host_id": 7}, {"callback": True}, {"callback": ["job:j", "/jobs", "x"]}, {"callback": [1, 2, 3]},
        {"binary": True}, {"binary": True, "data": []}, {"binary": True, "data": [["x"]]},
        {"binary": True, "data": [["x"], 7]}, {"binary": True, "data": [["x"], "no base64"]},
        {"binary": True, "data": [["x"], *["AAE="] * 11]},
        {"binary": True, "data": [[{"_placeholder": True, "num": 1}], "AAE="]},
        {"binary": True, "data": [[{"_placeholder": True, "num": -1}], "AAE="]},
        {"binary": True, "data": [[{"_placeholder": True, "num": "x"}], "AAE="]},
        {"data": "x" * incoming.LARGEST_MESSAGE},
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


MOVE = {"method": "enter_room", "sid": "s", "namespace": "/chat", "room": "lobby", "host_id": "x"}


@pytest.mark.parametrize(
    "change",
    [
        {}, {"namespace": "/"}, {"room": 7}, {"method": "leave_room"}, {"method": "close_room"},
        {"method": "disconnect"}, {"method": "disconnect", "namespace": "/jobs"},
        {"method": "callback", "id": 1, "args": []},
    ],
)  # fmt: skip
def test_another_process_may_move_clients_and_part_with_them(change):
    """In the namespaces that are the application's own; a client of any namespace may be parted with."""
    assert incoming.accept(json.dumps(MOVE | change)) is not None


@pytest.mark.parametrize("method", ["enter_room", "leave_room", "close_room"])
@pytest.mark.parametrize("room", ["job:j", "my-room", "sOmE-sEsSiOn_Id12345"])
def test_nobody_is_moved_between_the_rooms_of_topics(method, room):
    """Following a topic is granted by authorisation, and by nothing that comes from Redis."""
    message = MOVE | {"method": method, "namespace": "/jobs", "room": room}
    assert incoming.accept(json.dumps(message)) is None


@pytest.mark.parametrize(
    "change",
    [
        {"sid": None}, {"sid": 7}, {"sid": "x" * 257}, {"room": None}, {"room": []}, {"room": True},
        {"room": "x" * 257}, {"namespace": 7}, {"method": "callback", "id": "1", "args": []},
        {"method": "callback", "id": 1, "args": "x"}, {"method": "callback", "id": 1},
        {"method": "callback", "id": 0, "args": []},
        {"method": "emit"}, {"method": "__init__"}, {"method": ["emit"]},
    ],
)  # fmt: skip
def test_moves_of_another_shape_are_dropped(change):
    """Without an exception, whatever they are."""
    assert incoming.accept(json.dumps(MOVE | change)) is None
