"""Payloads as JSON text within the contract's size limits; a payload too large never fails a task."""

from __future__ import annotations

import json
import logging
from collections.abc import Set
from typing import Any, Final

from jobcast.models import JobStatusUpdate, WireModel
from jobcast.plain import PAYLOAD_LIMIT, TRUNCATED

logger = logging.getLogger(__name__)

#: Longest ``error``, in bytes of UTF-8.
ERROR_LIMIT: Final = 2 * 1024
#: Longest other text field when a payload is still too large without its details.
TEXT_LIMIT: Final = 1024


def body_of(model: WireModel, without: Set[str]) -> str:
    """The model's JSON as the rest of an object: ``,"a":1}`` or, with no fields, ``}``."""
    text = _small_json(model, without)
    if text is None:
        text = _json({name: value for name, value in _fitted(model).items() if name not in without})
    return "," + text[1:] if len(text) > len("{}") else text[1:]


def number(value: float | None) -> str:
    """A JSON number with at most two decimals; empty for None."""
    if value is None:
        return ""
    rounded = round(value, 2)
    return str(int(rounded)) if rounded == int(rounded) else repr(rounded)


def _small_json(model: WireModel, without: Set[str]) -> str | None:
    """What is so short that nothing in it can be too long, and well-formed; the usual case, in one step."""
    try:
        text = model.model_dump_json(by_alias=True, exclude_none=True, exclude=set(without), fallback=str)
    except (ValueError, RecursionError):
        return None
    return text if len(text.encode()) <= ERROR_LIMIT else None


def _fitted(model: WireModel) -> dict[str, Any]:
    fields = _wire(model)
    if isinstance(model, JobStatusUpdate) and model.error:
        fields["error"] = _cut(model.error, ERROR_LIMIT)
    if len(_json(fields).encode()) <= PAYLOAD_LIMIT:
        return fields
    logger.warning("payload of %s is over %d bytes, truncated", _name(fields), PAYLOAD_LIMIT)
    return _truncated(fields)


def _wire(model: WireModel) -> dict[str, Any]:
    """The model's fields; details that no JSON can express (a cycle, say) are dropped and marked."""
    try:
        return model.wire()
    except (ValueError, RecursionError):
        logger.warning("details cannot be written as JSON, dropped", exc_info=True)
        return model.model_copy(update={"details": TRUNCATED}).wire()


def _truncated(fields: dict[str, Any]) -> dict[str, Any]:
    """Without its log, or else its details, or else its result, or else the ends of its texts."""
    fields = {name: value for name, value in fields.items() if name != "log"}
    for name in ("details", "result"):
        if len(_json(fields).encode()) <= PAYLOAD_LIMIT:
            return fields
        if name in fields:
            fields = fields | {name: TRUNCATED}
    if len(_json(fields).encode()) <= PAYLOAD_LIMIT:
        return fields
    return {k: _cut(v, TEXT_LIMIT) if isinstance(v, str) else v for k, v in fields.items()}


def _cut(text: str, limit: int) -> str:
    encoded = text.encode(errors="replace")
    if len(encoded) <= limit:
        return encoded.decode()
    return encoded[: limit - 3].decode(errors="ignore") + "…"


def _json(fields: dict[str, Any]) -> str:
    text = json.dumps(fields, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.encode(errors="replace").decode()  # a lone surrogate is no UTF-8


def _name(fields: dict[str, Any]) -> str:
    return str(fields.get("jobId") or fields.get("id") or fields.get("syncId"))
