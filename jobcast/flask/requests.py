"""What every route needs: who asks, whether it is granted, and JSON that is already there."""

from __future__ import annotations

from typing import Any, Final, TypeVar

from flask import Response, g, request
from werkzeug.datastructures import MultiDict

from jobcast.errors import InvalidPayload
from jobcast.models import WireModel
from jobcast.server.authorization import Identity, authorise
from jobcast.server.services import Services
from jobcast.topics import Topic
from web.request_models import NoFields

Model = TypeVar("Model", bound=WireModel)

FORM: Final = "multipart/form-data"


def caller(services: Services) -> Identity:
    """Who asks, by the ``Authorization: Bearer`` header; raise RequestRefused. Looked at once per request."""
    if "caller" not in g:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        g.caller = services.authenticator.identify(token if scheme.lower() == "bearer" else None)
    identity: Identity = g.caller
    return identity


def grant(services: Services, topic: Topic) -> Identity:
    """Who asks, if they may see this topic; raise RequestRefused, for an unknown job too."""
    identity = caller(services)
    authorise(identity, topic, services.ledger.belongs_to)
    return identity


def json_text(text: str, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A response around JSON text."""
    return Response(text, status, headers, mimetype="application/json")


def json_of(model: WireModel, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A response around a wire model."""
    text = model.model_dump_json(by_alias=True, exclude_none=True)
    return json_text(text, status, headers)


def body_as(model: type[Model]) -> Model:
    """The request's JSON body; raises InvalidPayload or pydantic's ValidationError.

    The content type has to say JSON: a form of another site's page cannot, without asking first.
    """
    if not request.is_json:
        raise InvalidPayload("the body has to be application/json")
    return model.model_validate_json(request.get_data(cache=False))


def no_body() -> None:
    """Raise InvalidPayload or ValidationError for a body that says something."""
    if request.get_data(cache=True):
        body_as(NoFields)


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


def number_argument(name: str, default: int, highest: int) -> int:
    """A whole number of the query string, from 0 to ``highest``; raise InvalidPayload."""
    text = request.args.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > 16 or int(text) > highest:
        raise InvalidPayload(f"{name} is a whole number from 0 to {highest}")
    return int(text)


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
