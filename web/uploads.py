"""Multipart forms with one file of text."""

from __future__ import annotations

from typing import Any, Final, TypeVar

from flask import request
from werkzeug.datastructures import MultiDict

from jobcast.errors import InvalidPayload
from jobcast.models import WireModel

Model = TypeVar("Model", bound=WireModel)

FORM: Final = "multipart/form-data"


def form_as(model: type[Model], file: str) -> Model:
    """The text fields of a multipart form with one file; raises InvalidPayload or ValidationError."""
    for name in _single(request.files).keys() - {file}:
        raise InvalidPayload(f"{name[:100]}: no such file is expected")
    return model.model_validate(_single(request.form))


def _single(fields: MultiDict[str, Any]) -> dict[str, Any]:
    """Each field once; raise InvalidPayload for one that was sent twice."""
    for name, values in fields.lists():
        if len(values) > 1:
            raise InvalidPayload(f"{name[:100]}: sent more than once")
    return dict(fields.items())


def uploaded_text(field: str, most: int) -> str:
    """A text file of at most ``most`` bytes; raise InvalidPayload when it is missing or no such thing."""
    upload = request.files.get(field)
    if upload is None:
        raise InvalidPayload(f"{field}: the form has no file of this name")
    content: bytes = upload.stream.read(most + 1)
    check_size(field, len(content), most)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidPayload(f"{field}: not UTF-8 text") from error


def check_size(field: str, size: int, most: int) -> None:
    """Raise InvalidPayload for a CSV file that is too large, in bytes."""
    if size > most:
        raise InvalidPayload(f"{field}: larger than {most:,} bytes (JOBCAST_CSV_MAX_BYTES)")
