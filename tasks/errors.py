"""What can go wrong with the work. Each error's arguments are its data: they survive being pickled."""

from __future__ import annotations

from jobcast.errors import PublicError


class InvalidTable(PublicError):
    """Raised when an uploaded CSV file cannot be used.

    ``row`` counts as a spreadsheet does: the header is row 1. It and ``column`` are None where the
    fault is not in one place.
    """

    def __init__(self, what: str, reason: str, row: int | None = None, column: str | None = None) -> None:
        super().__init__(what, reason, row, column)
        self.what = what
        self.reason = reason
        self.row = row
        self.column = column

    def __str__(self) -> str:
        place = [self.what]
        if self.row is not None:
            place.append(f"row {self.row}")
        if self.column is not None:
            place.append(f'column "{self.column}"')
        return f"{', '.join(place)}: {self.reason}"


class InvalidPost(PublicError):
    """Raised when a post of a publish request cannot be published; ``number`` counts from 1."""

    def __init__(self, number: int, reason: str) -> None:
        super().__init__(number, reason)
        self.number = number
        self.reason = reason

    def __str__(self) -> str:
        return f"post {self.number}: {self.reason}"


class PublishingFailed(PublicError):
    """Raised when a publishing job ended with deliveries that did not go out."""
