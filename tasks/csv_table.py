"""An uploaded CSV file as a stream of rows that know their place, so that an error can name it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tasks.errors import InvalidTable

_BYTE_ORDER_MARK: Final = "\ufeff"


@dataclass(frozen=True, slots=True)
class CsvLimits:
    """How large a file may be: characters of it all, rows besides the header, columns of any row."""

    characters: int = 8 * 1024 * 1024
    rows: int = 200_000
    columns: int = 256


DEFAULT_LIMITS: Final = CsvLimits()


@dataclass(frozen=True, slots=True)
class Row:
    """One row; ``number`` counts as a spreadsheet does, the header being row 1."""

    table: Table
    number: int
    cells: list[str]

    def cell(self, column: str) -> str:
        """The cell as plain text, never interpreted; empty where the row or the table has none."""
        index = self.table.columns.get(column.casefold())
        value = self.cells[index] if index is not None and index < len(self.cells) else ""
        if not is_storable(value):
            raise self.error(column, "has a character that cannot be stored")
        return value

    def error(self, column: str | None, reason: str) -> InvalidTable:
        """What to raise about a cell of this row, or about the whole row."""
        shown = self.table.shown(column) if column is not None else None
        return InvalidTable(self.table.what, reason, self.number, shown)


class Table:
    """Iterate once for the rows; blank ones are left out, and never more than one is held.

    ``what`` names the file in errors. Column names are compared without regard to case. Takes a byte order
    mark, any line ends and quoted line breaks; everything malformed or over the limits raises InvalidTable.
    """

    def __init__(self, text: str, what: str, limits: CsvLimits = DEFAULT_LIMITS) -> None:
        if len(text) > limits.characters:
            raise InvalidTable(what, f"is larger than {limits.characters:,} bytes (JOBCAST_CSV_MAX_BYTES)")
        self.what = what
        self._records = _within(limits, what, _records(text, what))
        self.header = next((cells for _, cells in self._records), [])
        self.columns = self._indexed()

    def __iter__(self) -> Iterator[Row]:
        for number, cells in self._records:
            if any(cell.strip() for cell in cells):
                yield self._row(number, cells)

    def require(self, *columns: str) -> None:
        """Raise InvalidTable, naming what is missing, unless all these columns are there."""
        missing = [f'"{column}"' for column in columns if column.casefold() not in self.columns]
        if missing:
            raise InvalidTable(self.what, f"has no column {', '.join(missing)}", 1)

    def shown(self, column: str) -> str:
        """The column's name as the file spells it."""
        index = self.columns.get(column.casefold())
        return column if index is None else self.header[index].strip()

    def _row(self, number: int, cells: list[str]) -> Row:
        row = Row(self, number, cells)
        if any(cell.strip() for cell in cells[len(self.header) :]):
            raise row.error(None, f"has {len(cells)} cells, the header has {len(self.header)}")
        return row

    def _indexed(self) -> dict[str, int]:
        columns: dict[str, int] = {}
        for index, name in enumerate(self.header):
            key = name.strip().casefold()
            if key and key in columns:
                raise InvalidTable(self.what, "appears twice", 1, name.strip())
            columns[key] = index
        return columns


def count_rows(text: str, what: str, limits: CsvLimits = DEFAULT_LIMITS) -> int:
    """How many rows ``Table`` will yield; a quoted line break does not make a row."""
    return sum(1 for _ in Table(text, what, limits))


def _within(
    limits: CsvLimits, what: str, records: Iterator[tuple[int, list[str]]]
) -> Iterator[tuple[int, list[str]]]:
    for number, cells in records:
        if number > limits.rows + 1:
            reason = f"the file has more than {limits.rows:,} rows (JOBCAST_CSV_MAX_ROWS)"
            raise InvalidTable(what, reason, number)
        if len(cells) > limits.columns:
            reason = f"has more than {limits.columns:,} columns (JOBCAST_CSV_MAX_COLUMNS)"
            raise InvalidTable(what, reason, number)
        yield number, cells


def _records(text: str, what: str) -> Iterator[tuple[int, list[str]]]:
    lines = io.StringIO(text.removeprefix(_BYTE_ORDER_MARK), newline="")
    number = 1
    try:
        # Strict: an unclosed quote is an error, instead of one huge cell that swallows the rest.
        for cells in csv.reader(lines, strict=True):
            yield number, cells
            number += 1
    except csv.Error as error:
        raise InvalidTable(what, str(error), number) from error


def is_storable(value: str) -> bool:
    """PostgreSQL takes no NUL in a text, and nothing takes half a surrogate pair."""
    if "\0" in value:
        return False
    return value.isascii() or not any("\ud800" <= character <= "\udfff" for character in value)
