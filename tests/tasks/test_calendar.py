"""Content calendars: what is read, and how a bad one is refused."""

from __future__ import annotations

import csv
import io
import string
from datetime import datetime

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tasks.calendar import read_calendar
from tasks.csv_table import CsvLimits
from tasks.errors import InvalidTable
from tasks.posts import NewPost
from tests.tasks.conftest import csv_text

PLATFORMS = ("local", "facebook", "instagram", "linkedin")
HEADER = (
    "Text",
    "Date",
    "Time",
    "Draft",
    "Facebook",
    "Twitter/X",
    "Instagram",
    "Picture Url 1",
    "Picture Url 2",
)


def read(text: str) -> list[NewPost]:
    return list(read_calendar(text, PLATFORMS))


def refusal(*rows: tuple[object, ...]) -> str:
    with pytest.raises(InvalidTable) as caught:
        read(csv_text(*rows))
    return str(caught.value)


def row(text: str = "Hello", **cells: str) -> tuple[str, ...]:
    given = {"Text": text, "Facebook": "TRUE"} | cells
    return tuple(given.get(column, "") for column in HEADER)


def test_a_row_becomes_a_post_with_its_networks_pictures_and_moment():
    """All columns that are used, read at once."""
    cells = {"Date": "2026-12-01", "Time": "09:30:00", "Instagram": "true", "Twitter/X": "FALSE"}
    pictures = {"Picture Url 1": "a.png", "Picture Url 2": "inner/b.jpg"}
    (post,) = read(csv_text(HEADER, row("Hello", **cells, **pictures)))
    assert post == NewPost(
        "Hello", ("a.png", "inner/b.jpg"), ("facebook", "instagram"), datetime(2026, 12, 1, 9, 30)
    )


def test_byte_order_mark_crlf_and_quoted_line_breaks_are_understood():
    """As a spreadsheet saves it; the line break inside a cell stays as it was."""
    text = '\ufeffText,Facebook\r\n"one\r\ntwo, ""three""",TRUE\r\nfour,TRUE\r\n'
    assert [post.content for post in read(text)] == ['one\r\ntwo, "three"', "four"]


def test_old_line_ends_are_understood():
    """A lone carriage return ends a line too."""
    assert [post.content for post in read("Text,Facebook\rone,TRUE\rtwo,TRUE\r")] == ["one", "two"]


@pytest.mark.parametrize("content", ["=1+1", '=HYPERLINK("http://x","y")', "+49", "-1", "@cmd", " =x", "'=x"])
def test_cells_that_look_like_formulas_stay_plain_text(content):
    """Nothing is computed, escaped or cut off."""
    (post,) = read(csv_text(HEADER, row(content)))
    assert post.content == content


def test_columns_may_come_in_any_order_and_case():
    """What is not used is passed over."""
    (post,) = read("something,TEXT,local\nx,Hello,True\n")
    assert (post.content, post.platforms) == ("Hello", ("local",))


def test_blank_rows_and_drafts_are_left_out():
    """A spreadsheet ends with rows of commas; a draft is not to be published."""
    text = csv_text(HEADER, row("one"), ("",) * 9, row("two", Draft="TRUE"), (), row("three"))
    assert [post.content for post in read(text)] == ["one", "three"]


def test_a_missing_text_column_is_named():
    """The header is row 1."""
    assert refusal(("Content", "Facebook"), ("x", "TRUE")) == (
        'content calendar, row 1: has no column "Text"'
    )


def test_an_empty_file_is_refused():
    """Nothing at all has no columns either."""
    assert refusal() == 'content calendar, row 1: has no column "Text"'


def test_a_calendar_without_any_network_column_is_refused():
    """There would be nowhere to publish to."""
    assert "no network column" in refusal(("Text",), ("x",))


def test_an_empty_text_names_row_and_column():
    """Rows are counted as a spreadsheet counts them, line breaks inside cells or not."""
    assert refusal(HEADER, row("one\ntwo\nthree"), row("  ")) == (
        'content calendar, row 3, column "Text": is empty'
    )


def test_an_unknown_platform_names_row_and_column():
    """There is no adapter for it, so the job would not do what the calendar says."""
    assert refusal(HEADER, row(), row(**{"Twitter/X": "TRUE"})) == (
        "content calendar, row 3, column \"Twitter/X\": no platform is called 'twitter'; "
        "there are facebook, instagram, linkedin, local"
    )


@pytest.mark.parametrize(
    ("cells", "place"),
    [
        ({"Facebook": "yes"}, 'row 2, column "Facebook": expected TRUE or FALSE'),
        ({"Draft": "maybe"}, 'row 2, column "Draft": expected TRUE or FALSE'),
        ({"Facebook": "FALSE"}, "row 2: no network is TRUE"),
        ({"Date": "01/12/2026"}, 'row 2, column "Date": expected YYYY-MM-DD'),
        ({"Date": "2026-12-01", "Time": "9 am"}, 'row 2, column "Time": expected HH:MM:SS'),
        ({"Text": "x" * 10_001}, 'row 2, column "Text": is longer than 10,000 characters'),
        ({"Text": "a\0b"}, 'row 2, column "Text": has a character that cannot be stored'),
        ({"Picture Url 2": "\ud800.png"}, 'row 2, column "Picture Url 2": has a character'),
    ],
)
def test_a_bad_cell_names_row_and_column(cells, place):
    """One clear line for each."""
    assert place in refusal(HEADER, row(**cells))


def test_more_than_a_thousand_posts_are_refused_and_a_thousand_are_not():
    """The limit of the contract's publish body."""
    thousand = [row(str(number)) for number in range(1_000)]
    assert len(read(csv_text(HEADER, *thousand))) == 1_000
    assert refusal(HEADER, *thousand, row("more")) == (
        "content calendar, row 1002: a calendar has at most 1,000 posts"
    )


def test_an_unclosed_quote_is_refused():
    """It would otherwise swallow the rest of the file into one post."""
    with pytest.raises(InvalidTable, match="row 3: unexpected end of data"):
        read('Text,Facebook\nfine,TRUE\n"open,TRUE\nx,TRUE\n')


def test_more_cells_than_columns_and_a_column_twice_are_refused():
    """Both mean that cells are not where they seem to be."""
    assert "row 2: has 3 cells, the header has 2" in refusal(("Text", "Facebook"), ("x", "TRUE", "y"))
    assert 'column "text": appears twice' in refusal(("Text", "text", "Facebook"), ("x", "y", "TRUE"))


def test_posts_are_read_one_at_a_time():
    """Good rows come before the error of a bad one."""
    posts = read_calendar(csv_text(HEADER, row("one"), row("")), PLATFORMS)
    assert next(posts).content == "one"
    with pytest.raises(InvalidTable):
        next(posts)


PIECES = st.sampled_from(
    ['"', ",", "\r\n", "\n", "\r", "Text", "Facebook", "TRUE", "\ufeff", "\0", "=", "é", " "]
)


@settings(deadline=None)  # the machine may be busy
@given(st.lists(PIECES, max_size=60).map("".join) | st.text(max_size=200))
@example('Text,Facebook\r"a\rb",TRUE\r')
def test_whatever_is_uploaded_is_read_or_refused(text):
    """Nothing else is ever raised."""
    try:
        read(text)
    except InvalidTable as error:
        refused = str(error)
    else:
        refused = "content calendar"
    assert refused.startswith("content calendar")


CONTENT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=80)


@settings(deadline=None)  # the machine may be busy
@given(st.lists(CONTENT.filter(str.strip), min_size=1, max_size=8), st.sampled_from(["\n", "\r\n"]))
@example([string.printable], "\r\n")
def test_whatever_a_spreadsheet_writes_comes_back_unchanged(contents, line_end):
    """Any text survives the way through CSV."""
    file = io.StringIO(newline="")
    writer = csv.writer(file, lineterminator=line_end, quoting=csv.QUOTE_ALL)
    writer.writerows([("Text", "Facebook"), *((content, "TRUE") for content in contents)])
    assert [post.content for post in read(file.getvalue())] == contents


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        (CsvLimits(characters=10), "content calendar: is larger than 10 bytes (JOBCAST_CSV_MAX_BYTES)"),
        (CsvLimits(rows=2), "content calendar, row 4: the file has more than 2 rows (JOBCAST_CSV_MAX_ROWS)"),
        (CsvLimits(columns=1), "content calendar, row 1: has more than 1 columns (JOBCAST_CSV_MAX_COLUMNS)"),
    ],
)
def test_a_calendar_over_a_limit_is_refused_by_its_name(limits, said):
    """Bytes, rows and columns; blank rows count, since they cost as much to read."""
    text = "Text,Local\none,TRUE\n\ntwo,TRUE\n"
    assert len(list(read_calendar(text, PLATFORMS, CsvLimits(rows=3, columns=2)))) == 2
    with pytest.raises(InvalidTable) as refused:
        list(read_calendar(text, PLATFORMS, limits))
    assert str(refused.value) == said


def test_one_row_with_a_million_cells_is_refused():
    """It is one line of a file that is not large."""
    with pytest.raises(InvalidTable, match="JOBCAST_CSV_MAX_COLUMNS"):
        read("Text,Local\n" + "," * 1_000_000 + "\n")


def test_a_calendar_is_read_a_row_at_a_time():
    """The first post is there before the last row was looked at."""
    posts = read_calendar("Text,Local\none,TRUE\ntwo,MAYBE\n", PLATFORMS)
    assert next(posts).content == "one"
    with pytest.raises(InvalidTable):
        next(posts)


def test_a_picture_has_a_name_of_a_fair_length():
    """A URL as well as a path."""
    url = "https://example.com/" + "a" * 2_028
    (post,) = read(csv_text(HEADER, row(**{"Picture Url 1": url})))
    assert post.media == (url,)
    assert "longer than 2,048" in refusal(HEADER, row(**{"Picture Url 1": url + "a"}))
