"""Any value a task hands in, as a plain one that JSON can carry; never an exception, never unbounded.

A task reports what it has in its hand: numpy scalars, decimals, counters with numbers for keys, its own
objects. Each is made plain at the moment it is reported, so that the task may go on changing it, and so
that the reporter's thread meets nothing odd.
"""

from __future__ import annotations

import dataclasses
import math
import operator
from collections import deque
from collections.abc import Mapping, Set
from datetime import date, time, timedelta
from enum import Enum
from typing import Any, Final

#: Largest payload, in bytes of JSON.
PAYLOAD_LIMIT: Final = 16 * 1024
#: Levels of nesting that are kept; what lies deeper becomes its text.
DEPTH_LIMIT: Final = 32

_LISTS: Final = (list, tuple, Set, deque)
TRUNCATED: Final = {"truncated": True}


class _TooLarge(Exception):
    """Raised when a value cannot fit into a payload however it is written."""


def number(value: object) -> int | float | None:
    """A finite int or float, of anything that is a number; None for what is none."""
    try:
        if type(value) is int or type(value) is float:
            return value if math.isfinite(value) else None
        return _converted(value)
    except Exception:  # noqa: BLE001  # somebody else's class; huge integers overflow
        return None


def text(value: object) -> str:
    """Any value as text that UTF-8 can carry, also when its own ``__str__`` raises."""
    try:
        found = str(value)
    except Exception:  # noqa: BLE001  # somebody else's class
        found = _without_str(value)
    return found if found.isascii() else found.encode(errors="replace").decode()


def error_text(error: BaseException) -> str:
    """What an exception says, or its type where it says nothing."""
    return text(error) or type(error).__name__


def details(value: object) -> dict[str, Any]:
    """A deep copy of a task's details; ``{"truncated": true}`` where no payload could hold them."""
    try:
        copied = _Copier().copy(value, 0)
    except _TooLarge:
        return dict(TRUNCATED)
    except Exception:  # noqa: BLE001  # a mapping whose iteration raises, say
        copied = text(value)
    return copied if isinstance(copied, dict) else {"value": copied}


def _converted(value: Any) -> int | float | None:
    if isinstance(value, str | bytes | bytearray):
        return None
    try:
        return operator.index(value)
    except TypeError:
        converted = float(value)
        return converted if math.isfinite(converted) else None


def _without_str(value: object) -> str:
    """For an exception what it was raised with; for anything else its type."""
    if isinstance(value, BaseException):
        try:
            return ", ".join(repr(argument) for argument in value.args if argument is not None)
        except Exception:  # noqa: BLE001  # somebody else's class
            return ""
    return f"<{type(value).__name__}>"


class _Copier:
    """Copies one value; gives up as soon as it cannot fit into a payload any more."""

    def __init__(self) -> None:
        self._left = PAYLOAD_LIMIT

    def copy(self, value: Any, depth: int) -> Any:
        if value is None or value is True or value is False:
            self._spend(4)
            return value
        if isinstance(value, str):
            return self._text(value if type(value) is str else str.__str__(value))
        if type(value) is int or type(value) is float:
            return self._number(value)
        if depth < DEPTH_LIMIT and (found := self._container(value, depth + 1)) is not None:
            return found
        return self._scalar(value)

    def _container(self, value: Any, depth: int) -> dict[str, Any] | list[Any] | None:
        if isinstance(value, Mapping):
            return self._mapping(value, depth)
        if isinstance(value, _LISTS):
            return self._list(value, depth)
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            fields = {field.name: getattr(value, field.name, None) for field in dataclasses.fields(value)}
            return self._mapping(fields, depth)
        if hasattr(value, "model_dump"):  # pydantic's
            return self._mapping(value.model_dump(), depth)
        return self._array(value, depth)

    def _mapping(self, value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        self._spend(2)
        copied = {}
        for key, item in value.copy().items() if isinstance(value, dict) else value.items():
            copied[self._text(key if isinstance(key, str) else text(key))] = self.copy(item, depth)
        return copied

    def _list(self, value: Any, depth: int) -> list[Any]:
        self._spend(2)
        return [self.copy(item, depth) for item in tuple(value)]

    def _array(self, value: Any, depth: int) -> list[Any] | None:
        """numpy's, pandas' and array.array's; a scalar of theirs, which has no length, is none."""
        if (
            not hasattr(value, "tolist")
            or not hasattr(value, "__len__")
            or getattr(value, "shape", None) == ()
        ):
            return None
        if getattr(value, "size", None) is not None and value.size > PAYLOAD_LIMIT:
            raise _TooLarge
        found = value.tolist()
        return self._list(found, depth) if isinstance(found, list) else None

    def _scalar(self, value: Any) -> Any:
        if isinstance(value, Enum):
            return self.copy(value.value, DEPTH_LIMIT)
        if isinstance(value, date | time):
            return self._text(value.isoformat())
        if isinstance(value, timedelta):
            return self._number(value.total_seconds())
        if isinstance(value, bytes | bytearray | memoryview):
            return self._text(bytes(value[:PAYLOAD_LIMIT]).decode(errors="replace"))
        if _is_flag(value):
            return bool(value)
        found = number(value) if hasattr(value, "__index__") or hasattr(value, "__float__") else None
        return self._text(text(value)) if found is None else self._number(found)

    def _number(self, value: float) -> float | None:
        self._spend(1)
        return number(value)

    def _text(self, value: str) -> str:
        self._spend(2 + len(value))
        return text(value)

    def _spend(self, characters: int) -> None:
        self._left -= characters
        if self._left < 0:
            raise _TooLarge


def _is_flag(value: object) -> bool:
    """numpy's bool, which is no number and no bool."""
    return type(value).__name__ in ("bool", "bool_")
