"""Posts of a publish body."""

from __future__ import annotations

import pickle

import pytest

from tasks.errors import InvalidPost, InvalidTable
from tasks.posts import NewPost, read_posts

PLATFORMS = ("local", "instagram")


def test_posts_are_read_in_order_and_a_platform_counts_once():
    """``local`` is the default, as in the contract."""
    posts = [
        {"content": "one"},
        {"content": "=two", "media": ["a.png"], "platforms": ["instagram", "instagram"]},
    ]
    assert list(read_posts(posts, PLATFORMS)) == [
        NewPost("one", (), ("local",)),
        NewPost("=two", ("a.png",), ("instagram",)),
    ]


@pytest.mark.parametrize(
    ("post", "fault"),
    [
        ({"content": ""}, "content"),
        ({"content": " \n"}, "content: is empty"),
        ({"content": "a\0b"}, "cannot be stored"),
        ({"content": "x", "media": ["\ud800"]}, "media"),
        ({"content": "x", "platforms": ["myspace"]}, "no platform is called 'myspace'"),
        ({"content": "x", "platforms": []}, "platforms"),
        ({"content": "x", "colour": "red"}, "colour"),
        ({}, "content"),
    ],
)
def test_a_post_that_cannot_be_used_is_named_by_its_number(post, fault):
    """Counted from 1, as people do."""
    with pytest.raises(InvalidPost) as caught:
        list(read_posts([{"content": "fine"}, post], PLATFORMS))
    assert str(caught.value).startswith("post 2: ")
    assert fault in str(caught.value)


def test_more_than_a_thousand_posts_are_refused():
    """The limit of the contract."""
    with pytest.raises(InvalidPost, match="1,000"):
        list(read_posts([{"content": "x"}] * 1_001, PLATFORMS))


@pytest.mark.parametrize("error", [InvalidPost(2, "no"), InvalidTable("file", "no", 3, "Text")])
def test_errors_survive_the_way_between_two_processes(error):
    """A prefork child hands its exceptions to the parent as pickles."""
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
