"""Metrics as CSV again: nothing in them runs in a spreadsheet, and numbers stay numbers."""

from __future__ import annotations

import ast
import csv
import io
import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.csv_writer import harmless, write_rows
from tasks.export import HEADER, export, main
from tasks.metrics_export import read_export
from tests.stack import ROOT

FORMULAS = (
    "=1+1",
    "+1+1",
    "-1+1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    '=HYPERLINK("http://x","y")',
    "\uff1d1",
    "-",
)


@pytest.mark.parametrize("text", FORMULAS)
def test_what_a_spreadsheet_would_run_is_shown_instead(text):
    """By an apostrophe, which spreadsheets take for: this is text."""
    assert harmless(text) == f"'{text}"


@pytest.mark.parametrize(
    "cell", [-5, 5, -2.5, 0, None, "-5", "+49", "-1,234.5", "12 %", "-3%", "", "a=1", "'=1"]
)
def test_numbers_and_other_texts_stay_as_they_are(cell):
    """A negative number is no formula, whether it is a number or a text of one."""
    assert harmless(cell) == cell


@given(st.lists(st.lists(st.text() | st.integers(), min_size=1, max_size=3), max_size=3))
def test_no_cell_of_any_file_begins_like_a_formula(rows):
    """As a spreadsheet reads it back, whatever was in it."""
    target = io.StringIO(newline="")
    write_rows(target, rows)
    target.seek(0)
    for cells in csv.reader(target):
        for cell in cells:
            assert not cell.startswith(("=", "@", "\t", "\r")), cell
            assert (
                not cell.startswith(("+", "-"))
                or cell.lstrip("+-").replace(".", "").replace(",", "")[:1].isdigit()
            )


def test_a_brands_metrics_come_back_as_they_were(place, settings):
    """Only this brand's, in the columns they came in; the caption was made harmless."""
    text = "Post ID,Description,Date,Publish time,Views\n"
    text += "1,=cmd(),09/15/2026,09/01/2026 10:30,7\n2,hi,Lifetime,,\n"
    for brand in ("acme", "other"):
        place.storage.upsert_metrics(read_export(text, brand, "instagram"))
    target = io.StringIO(newline="")
    assert export(place.storage, "acme", target) == 2
    assert target.getvalue().splitlines()[0] == ",".join(HEADER)
    again = list(read_export(target.getvalue(), "acme", "instagram"))
    assert [row["description"] for row in again] == ["'=cmd()", "hi"]
    first = next(read_export(text, "acme", "instagram"))
    assert {name: again[0][name] for name in first} == first | {"description": "'=cmd()"}
    command = [sys.executable, "-m", "tasks.export", "acme"]
    environment = os.environ | {"DATABASE_URL": settings.database_url}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=True)
    assert done.stdout.decode() == target.getvalue()


@pytest.mark.parametrize("arguments", [["a\n"], [], ["a", "b"]])
def test_a_brand_that_is_no_id_is_refused_in_one_line(arguments, capsys):
    """And so is no brand at all."""
    assert main(arguments) == 1
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)


def test_csv_is_written_in_one_place():
    """Whatever is exported goes through it."""
    writers = []
    for package in ("jobcast", "web", "tasks", "worker"):
        for path in (ROOT / package).rglob("*.py"):
            names = {
                node.attr for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)
            }
            if names & {"writer", "DictWriter"} and "csv" in path.read_text():
                writers.append(path.name)
    assert writers == ["csv_writer.py"]
