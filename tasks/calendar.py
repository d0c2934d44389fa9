"""A content calendar: the CSV file in which a scheduling tool takes many posts at once.

The layout is Metricool's bulk import (planning, *Import CSV*): one row per post; the columns used here are

- ``Text``, the post;
- ``Date`` (``2026-12-01``) and ``Time`` (``09:30:00``), kept with the post, both optional;
- ``Draft``, a row that says ``TRUE`` is left out;
- one column per network (``Facebook``, ``Instagram``, ``LinkedIn``, ``Twitter/X`` …), ``TRUE`` or ``FALSE``;
- ``Picture Url 1`` to ``Picture Url 10``, paths inside the media folder or http(s) URLs.

The layout's other columns (alt texts, polls, per-network options) may be there and are not used. One more
is understood: ``Local``, for the platform of that name.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Final

from tasks.csv_table import DEFAULT_LIMITS, CsvLimits, Row, Table
from tasks.errors import InvalidTable
from tasks.posts import CONTENT_LIMIT, MEDIA_NAME_LIMIT, POSTS_LIMIT, NewPost, unknown_platform

WHAT: Final = "content calendar"
#: The layout's network columns that are not called like their platform.
_PLATFORM_NAMES: Final = {"twitter/x": "twitter", "gbp": "google-business"}
#: The layout's network columns, in its order, and ours.
NETWORKS: Final = (
    "Facebook", "Twitter/X", "LinkedIn", "GBP", "Instagram", "Pinterest", "TikTok", "Youtube", "Threads",
    "Bluesky", "Local",
)  # fmt: skip
PICTURES: Final = tuple(f"Picture Url {number}" for number in range(1, 11))
_YES: Final = frozenset({"true"})
_NO: Final = frozenset({"false", ""})


def read_calendar(
    text: str, platforms: Collection[str], limits: CsvLimits = DEFAULT_LIMITS
) -> Iterator[NewPost]:
    """The calendar's posts, one at a time, for the platforms of these names.

    Raises InvalidTable for the first row that cannot be used, naming row and column.
    """
    table = Table(text, WHAT, limits)
    table.require("Text")
    networks = _networks_of(table)
    count = 0
    for row in table:
        if _flag(row, "Draft"):
            continue
        count += 1
        if count > POSTS_LIMIT:
            raise row.error(None, f"a calendar has at most {POSTS_LIMIT:,} posts")
        yield _post(row, networks, platforms)


def _networks_of(table: Table) -> list[str]:
    present = [network for network in NETWORKS if network.casefold() in table.columns]
    if not present:
        raise InvalidTable(WHAT, "has no network column, such as Facebook or Instagram", 1)
    return present


def _post(row: Row, networks: list[str], platforms: Collection[str]) -> NewPost:
    media = (_picture(row, column) for column in PICTURES)
    return NewPost(
        _content(row), tuple(filter(None, media)), _platforms(row, networks, platforms), _moment(row)
    )


def _picture(row: Row, column: str) -> str:
    name = row.cell(column).strip()
    if len(name) > MEDIA_NAME_LIMIT:
        raise row.error(column, f"is longer than {MEDIA_NAME_LIMIT:,} characters")
    return name


def _content(row: Row) -> str:
    content = row.cell("Text")
    if not content.strip():
        raise row.error("Text", "is empty")
    if len(content) > CONTENT_LIMIT:
        raise row.error("Text", f"is longer than {CONTENT_LIMIT:,} characters")
    return content


def _platforms(row: Row, networks: list[str], known: Collection[str]) -> tuple[str, ...]:
    chosen = [network for network in networks if _flag(row, network)]
    if not chosen:
        raise row.error(None, "no network is TRUE")
    return tuple(_platform(row, network, known) for network in chosen)


def _platform(row: Row, network: str, known: Collection[str]) -> str:
    name = _PLATFORM_NAMES.get(network.casefold(), network.casefold())
    if name not in known:
        raise row.error(network, unknown_platform(name, known))
    return name


def _flag(row: Row, column: str) -> bool:
    value = row.cell(column).strip().casefold()
    if value not in _YES | _NO:
        raise row.error(column, f"expected TRUE or FALSE, not {value[:40]!r}")
    return value in _YES


def _moment(row: Row) -> datetime | None:
    date, time = row.cell("Date").strip(), row.cell("Time").strip()
    if not date:
        return None
    try:
        day = datetime.strptime(date, "%Y-%m-%d")  # the calendar's own time zone
    except ValueError as error:
        raise row.error("Date", f"expected YYYY-MM-DD, not {date[:40]!r}") from error
    return _at(row, day, time)


def _at(row: Row, day: datetime, time: str) -> datetime:
    if not time:
        return day
    for form in ("%H:%M:%S", "%H:%M"):
        try:
            clock = datetime.strptime(time, form).time()
        except ValueError:
            continue
        return datetime.combine(day, clock)
    raise row.error("Time", f"expected HH:MM:SS, not {time[:40]!r}")
