"""Figures as readers see them, and the places in a page where they belong."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


class NoSuchPlace(Exception):
    """Raised when a page lacks the marks between which something is to be written."""


def number(value: float) -> str:
    """Three digits or a few more: 0.42, 4.2, 42.1, 421, 4,210."""
    if value == 0:
        return "0"
    size = abs(value)
    decimals = 0 if size >= 100 else 1 if size >= 10 else 2
    return f"{value:,.{decimals}f}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def fill(page: str, place: str, content: str) -> str:
    """The page with ``content`` between the marks of ``place``; raise NoSuchPlace."""
    start, end = f"<!-- bench:{place} -->", f"<!-- /bench:{place} -->"
    before, opened, rest = page.partition(start)
    _, closed, after = rest.partition(end)
    if not opened or not closed:
        raise NoSuchPlace(place)
    return f"{before}{start}\n{content.strip()}\n{end}{after}"
