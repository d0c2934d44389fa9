"""Metrics exports: what is read, and how a bad one is refused."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.csv_table import count_rows
from tasks.errors import InvalidTable
from tasks.metrics_export import WHAT, read_export
from tests.tasks.conftest import csv_text

INSTAGRAM = (
    "Post ID",
    "Account username",
    "Description",
    "Publish time",
    "Permalink",
    "Post type",
    "Date",
    "Views",
    "Likes",
)


def read(text: str):
    return list(read_export(text, "acme", "instagram"))


def row(**cells: str) -> tuple[str, ...]:
    given = {"Post ID": "180", "Date": "09/15/2026", "Views": "7", "Likes": "1"} | cells
    return tuple(given.get(column, "") for column in INSTAGRAM)


def refusal(**cells: str) -> str:
    with pytest.raises(InvalidTable) as caught:
        read(csv_text(INSTAGRAM, row(), row(**cells)))
    return str(caught.value)


def test_a_row_of_the_instagram_export_is_read():
    """Dates are month first; thousands may be separated; an empty metric is unknown, not zero."""
    cells = {
        "Account username": "nordlicht",
        "Publish time": "09/14/2026 08:31",
        "Views": "12,400",
        "Likes": "",
    }
    (metric,) = read(csv_text(INSTAGRAM, row(**cells, Description="=SUM(A1)", **{"Post type": "IG reel"})))
    assert metric == {
        "brand_id": "acme",
        "platform": "instagram",
        "post_id": "180",
        "day": "2026-09-15",
        "account": "nordlicht",
        "description": "=SUM(A1)",
        "post_type": "IG reel",
        "permalink": "",
        "posted_at": datetime(2026, 9, 14, 8, 31),
        "views": 12_400,
        "likes": None,
    }


def test_a_row_of_the_facebook_export_is_read():
    """It has pages, titles and reactions, and a lifetime instead of days."""
    header = ("Post ID", "Page ID", "Page name", "Title", "Date", "Reach", "Reactions", "Comments", "Shares")
    (metric,) = read(csv_text(header, ("1_2", "9", "Nordlicht", "Hello", "Lifetime", "10", "4", "2", "1")))
    assert (metric["account"], metric["description"], metric["day"]) == ("Nordlicht", "Hello", "lifetime")
    assert (metric["reach"], metric["reactions"], metric["comments"], metric["shares"]) == (10, 4, 2, 1)


@pytest.mark.parametrize(
    ("cells", "place"),
    [
        ({"Views": "many"}, 'row 3, column "Views": expected a whole number'),
        ({"Views": "-1"}, 'row 3, column "Views": expected a whole number'),
        ({"Likes": "1,00"}, 'row 3, column "Likes": expected a whole number'),
        ({"Date": "15/09/2026"}, 'row 3, column "Date": expected MM/DD/YYYY'),
        ({"Publish time": "today"}, 'row 3, column "Publish time": expected MM/DD/YYYY HH:MM'),
        ({"Post ID": ""}, 'row 3, column "Post ID": is empty'),
        ({"Post ID": "1.22158E+17"}, 'row 3, column "Post ID": 1.22158E+17 was rounded by a spreadsheet'),
        ({"Description": "a\0"}, 'row 3, column "Description": has a character'),
    ],
)
def test_a_bad_cell_names_row_and_column(cells, place):
    """One clear line for each."""
    assert place in refusal(**cells)


def test_an_export_without_ids_or_metrics_is_refused():
    """It is some other file."""
    with pytest.raises(InvalidTable, match='no column "Post ID"'):
        read("Views\n1\n")
    with pytest.raises(InvalidTable, match="no metric column"):
        read("Post ID\n1\n")


@settings(deadline=None)  # the machine may be busy
@given(st.lists(st.text(st.sampled_from('a\n\r",'), max_size=6), max_size=20))
def test_rows_are_counted_as_they_are_read(descriptions):
    """Line breaks inside a cell make no row, and blank rows none either."""
    rows = [row(Description=description) for description in descriptions]
    text = csv_text(INSTAGRAM, *rows) + ",,\r\n\r\n"
    assert count_rows(text, WHAT) == len(read(text)) == len(descriptions)
