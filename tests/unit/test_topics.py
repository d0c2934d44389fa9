"""Ids and the names made of them: any id has a room of its own, and plain ids keep the rooms they had."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from jobcast import InvalidPayload
from jobcast.envelope import channel_of, cut, head, seal
from jobcast.models import Id
from jobcast.topics import Topic, brand_topic, is_topic, job_topic, user_topic, valid_id

ODD = [
    "import:42",
    "a/b",
    "bericht-für-münchen",
    "auth0|5f7c",
    "ana@example.org",
    "%2e",
    "{x}",
    '"\\',
    " ",
    "😀" * 256,
]
IDS = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=256)


@pytest.mark.parametrize("plain", ["j1", "A.b_c~d-e", "..", "x" * 128])
def test_a_plain_id_is_its_own_name(plain):
    assert job_topic(plain).room == f"job:{plain}"


@pytest.mark.parametrize(
    ("topic", "room"),
    [
        (job_topic("import:42/ü"), "job:import%3A42%2F%C3%BC"),
        (user_topic("auth0|7"), "user:auth0%7C7"),
        (brand_topic("a b"), "brand:a%20b"),
    ],
)
def test_whatever_is_not_plain_is_percent_encoded(topic, room):
    assert topic.room == room
    assert channel_of(topic, "c", per_topic=True) == f"c#{{{room}}}"


@given(IDS)
def test_a_room_says_which_id_it_was_made_of(topic_id):
    topic = job_topic(topic_id)
    assert Topic.parse(topic.room) == topic
    assert topic.room.isascii()
    assert not set(topic.room) & set(' "\\{}')


@pytest.mark.parametrize("topic_id", ODD)
def test_an_odd_id_goes_through_an_envelope_and_a_model(topic_id):
    message = seal(head(job_topic(topic_id), "e"), False, '{"sequence":1,"epoch":"x"}')
    found = cut(message.encode())
    assert found is not None
    assert Topic.parse(found.room).id == topic_id
    assert TypeAdapter(Id).validate_python(topic_id) == valid_id(topic_id) == topic_id


@pytest.mark.parametrize("nothing", ["", "x" * 257, "a\n", "\0", "\x7f", "\x85", "\ud800", None, 7, b"x"])
def test_what_can_be_in_no_message_is_no_id(nothing):
    with pytest.raises(InvalidPayload):
        valid_id(nothing)
    with pytest.raises(ValidationError):
        TypeAdapter(Id).validate_python(nothing, strict=True)


@pytest.mark.parametrize(
    "room",
    [
        "",
        "job",
        "job:",
        "party:x",
        "job:a b",
        "job:a:b",
        "job:a%3ab",
        "job:%41",
        "job:%",
        "job:%FF",
        "job:%0A",
    ],
)
def test_a_topic_has_one_room_and_no_other_name(room):
    """Otherwise two names would be one topic, for scopes and leases."""
    assert not is_topic(room)
