"""Posts as a publish request brings them, checked before anything is stored."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from pydantic import ValidationError

from jobcast.models import Post
from tasks.csv_table import is_storable
from tasks.errors import InvalidPost

#: Most posts of one job.
POSTS_LIMIT: Final = 1_000
#: Most characters of one post.
CONTENT_LIMIT: Final = 10_000
#: Most characters of one path or URL of a picture.
MEDIA_NAME_LIMIT: Final = 2_048


@dataclass(frozen=True, slots=True)
class NewPost:
    """What is to be published, and where."""

    content: str
    media: tuple[str, ...]
    platforms: tuple[str, ...]
    #: The calendar's moment, in the calendar's own time zone; kept with the post.
    scheduled_for: datetime | None = None


def read_posts(posts: Iterable[Mapping[str, Any]], platforms: Collection[str]) -> Iterator[NewPost]:
    """The posts of a publish body, one at a time; raise InvalidPost for the first that cannot be used."""
    for number, given in enumerate(posts, start=1):
        if number > POSTS_LIMIT:
            raise InvalidPost(number, f"a job has at most {POSTS_LIMIT:,} posts")
        yield _checked(number, given, platforms)


def _checked(number: int, given: Mapping[str, Any], platforms: Collection[str]) -> NewPost:
    try:
        post = Post.model_validate(given)
    except ValidationError as error:
        raise InvalidPost(number, _first_fault(error)) from error
    _check_platforms(number, post.platforms, platforms)
    _check_texts(number, post)
    # A platform named twice would be one delivery all the same.
    return NewPost(post.content, tuple(post.media), tuple(dict.fromkeys(post.platforms)))


def _check_platforms(number: int, wanted: Iterable[str], known: Collection[str]) -> None:
    for platform in wanted:
        if platform not in known:
            raise InvalidPost(number, unknown_platform(platform, known))


def unknown_platform(name: str, known: Collection[str]) -> str:
    """The sentence that says so."""
    return f"no platform is called {name!r}; there are {', '.join(sorted(known))}"


def _check_texts(number: int, post: Post) -> None:
    if not post.content.strip():
        raise InvalidPost(number, "content: is empty")
    for name, texts in (("content", [post.content]), ("media", post.media)):
        if not all(is_storable(text) for text in texts):
            raise InvalidPost(number, f"{name}: has a character that cannot be stored")


def _first_fault(error: ValidationError) -> str:
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    return f"{place}: {first['msg']}" if place else str(first["msg"])
