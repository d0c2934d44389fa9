"""CSV files for people who open them in a spreadsheet, which takes some texts for formulas and runs them.

The texts came from outside: a caption such as ``=HYPERLINK(…)`` would send the reader's data away. An
apostrophe in front makes a spreadsheet show them as they are. Numbers stay numbers.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from typing import IO, Final

#: What a formula begins with, in full width too; tab and line ends may hide one.
_FORMULA: Final = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
_NUMBER: Final = re.compile(r"[+-]?[0-9]+([.,][0-9]+)*%?\Z")


def write_rows(target: IO[str], rows: Iterable[Iterable[object]]) -> int:
    """Write the rows, each cell harmless, and return how many there were; None is an empty cell."""
    writer, count = csv.writer(target), 0
    for count, row in enumerate(rows, start=1):  # noqa: B007
        writer.writerow([harmless(cell) for cell in row])
    return count


def harmless(cell: object) -> object:
    """The cell, or a text that a spreadsheet will not run."""
    if isinstance(cell, str) and cell.startswith(_FORMULA) and not _NUMBER.match(cell):
        return f"'{cell}"
    return cell
