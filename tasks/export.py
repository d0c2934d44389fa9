"""A brand's metrics as CSV, in the columns they came in: ``python -m tasks.export acme > metrics.csv``."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from typing import IO, Any, Final

from sqlalchemy.exc import SQLAlchemyError

from jobcast.errors import JobcastError
from jobcast.topics import valid_id
from tasks.csv_writer import write_rows
from tasks.metrics_export import METRICS
from tasks.settings import WorkSettings
from tasks.storage import Storage
from tasks.tables import LIFETIME

_TEXTS: Final = {
    "Post ID": "post_id",
    "Account username": "account",
    "Description": "description",
    "Post type": "post_type",
    "Permalink": "permalink",
}
HEADER: Final = ("Platform", *_TEXTS, "Publish time", "Date", *METRICS)


def export(storage: Storage, brand_id: str, target: IO[str]) -> int:
    """Write the brand's metrics and return the number of rows; ``read_export`` takes them back."""
    return write_rows(target, _rows(storage, brand_id)) - 1


def _rows(storage: Storage, brand_id: str) -> Iterator[tuple[object, ...]]:
    yield HEADER
    for row in storage.metrics_of(brand_id):
        texts = (row[name] for name in _TEXTS.values())
        counts = (row[name] for name in METRICS.values())
        yield row["platform"], *texts, _published(row), _day(row), *counts


def _published(row: Mapping[str, Any]) -> str:
    moment: datetime | None = row["posted_at"]
    return f"{moment:%m/%d/%Y %H:%M}" if moment else ""


def _day(row: Mapping[str, Any]) -> str:
    return "Lifetime" if row["day"] == LIFETIME else f"{date.fromisoformat(row['day']):%m/%d/%Y}"


def main(arguments: list[str]) -> int:
    """1 with one line on standard error when it cannot be done."""
    try:
        if len(arguments) != 1:
            raise JobcastError("usage: python -m tasks.export BRAND_ID > metrics.csv")
        storage = Storage(WorkSettings.from_environment().database_url)
        export(storage, valid_id(arguments[0]), sys.stdout)
    except JobcastError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    except SQLAlchemyError as error:
        cause = getattr(error, "orig", None) or error
        print(f"the database cannot be read: {cause}".splitlines()[0], file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
