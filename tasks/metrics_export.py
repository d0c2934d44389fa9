"""A metrics export: what a platform's own insights page lets one download as CSV.

The layout is Meta Business Suite's content export (*Insights → Content → Export data*), one row per post and
day, or per post where ``Date`` says ``Lifetime``. ``Post ID`` and at least one metric are required. Dates are
month first, as the export writes them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from tasks.csv_table import DEFAULT_LIMITS, CsvLimits, Row, Table
from tasks.errors import InvalidTable
from tasks.tables import LIFETIME

WHAT: Final = "metrics export"
#: The export's metric columns that are kept, and under which name.
METRICS: Final = {
    "Views": "views",
    "Impressions": "impressions",
    "Reach": "reach",
    "Reactions": "reactions",
    "Likes": "likes",
    "Comments": "comments",
    "Shares": "shares",
    "Saves": "saves",
    "Follows": "follows",
}
#: Facebook's export calls the account a page.
_ACCOUNTS: Final = ("Account username", "Account name", "Page name")
_POST_ID: Final = re.compile(r"[A-Za-z0-9_:.-]{1,128}\Z")
_ROUNDED: Final = re.compile(r"[0-9.,]+E\+?[0-9]+\Z", re.IGNORECASE)
_COUNT: Final = re.compile(r"[0-9]{1,3}(,[0-9]{3})+\Z|[0-9]{1,18}\Z")


def read_export(
    text: str, brand_id: str, platform: str, limits: CsvLimits = DEFAULT_LIMITS
) -> Iterator[dict[str, Any]]:
    """The export's rows as rows of the metrics table, all with the same columns.

    Raises InvalidTable for the first row that cannot be used, naming row and column.
    """
    table = Table(text, WHAT, limits)
    table.require("Post ID")
    metrics = [column for column in METRICS if column.casefold() in table.columns]
    if not metrics:
        raise InvalidTable(WHAT, f"has no metric column; known are {', '.join(METRICS)}", 1)
    for row in table:
        yield {"brand_id": brand_id, "platform": platform} | _metric(row, metrics)


def _metric(row: Row, metrics: list[str]) -> dict[str, Any]:
    return {
        "post_id": _post_id(row),
        "day": _day(row),
        "account": next((name for column in _ACCOUNTS if (name := row.cell(column))), ""),
        "description": row.cell("Description") or row.cell("Title"),
        "post_type": row.cell("Post type"),
        "permalink": row.cell("Permalink"),
        "posted_at": _posted_at(row),
    } | {METRICS[column]: _count(row, column) for column in metrics}


def _post_id(row: Row) -> str:
    value = row.cell("Post ID").strip()
    if _ROUNDED.match(value):
        raise row.error("Post ID", f"{value[:40]} was rounded by a spreadsheet; export the file again")
    if not _POST_ID.match(value):
        raise row.error("Post ID", f"expected an id, not {value[:40]!r}" if value else "is empty")
    return value


def _day(row: Row) -> str:
    value = row.cell("Date").strip()
    if not value or value.casefold() == LIFETIME:
        return LIFETIME
    return _moment(row, "Date", value, "%m/%d/%Y", "MM/DD/YYYY or Lifetime").date().isoformat()


def _posted_at(row: Row) -> datetime | None:
    value = row.cell("Publish time").strip()
    return _moment(row, "Publish time", value, "%m/%d/%Y %H:%M", "MM/DD/YYYY HH:MM") if value else None


def _moment(row: Row, column: str, value: str, form: str, expected: str) -> datetime:
    try:
        return datetime.strptime(value, form)  # the export names no time zone
    except ValueError as error:
        raise row.error(column, f"expected {expected}, not {value[:40]!r}") from error


def _count(row: Row, column: str) -> int | None:
    value = row.cell(column).strip()
    if not value:
        return None
    if not _COUNT.match(value):
        raise row.error(column, f"expected a whole number, not {value[:40]!r}")
    return int(value.replace(",", ""))
