"""What a request can meet with, whichever way it came: an ack, an event and a route say the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pydantic import ValidationError

#: Longest name of a place in a body, in characters; an unknown field is named as it was sent.
_LONGEST_PLACE: Final = 200


class RequestRefused(Exception):
    """Raised when a request is not granted; ``code`` is one of the contract's error codes.

    ``retry_after`` is in seconds, where the same request may be granted later. ``reason`` is for the
    operator's log alone: whoever is refused would learn from it.
    """

    def __init__(
        self, code: str, message: str, retry_after: float | None = None, reason: str | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.retry_after = retry_after
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Conflict(Exception):
    """Raised when a job's state does not allow what was asked for."""

    message: str


def first_of(error: ValidationError) -> str:
    """The first thing that is wrong, and where."""
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])[:_LONGEST_PLACE]
    return f"{place}: {first['msg']}" if place else first["msg"]
