"""What every route needs: who asks, whether it is granted, and JSON that is already there."""

from __future__ import annotations

from typing import Any, TypeVar

from flask import Response, g, request

from jobcast.errors import InvalidPayload
from jobcast.models import WireModel
from jobcast.topics import Topic
from web.access import Identity, authorise
from web.services import Services

Model = TypeVar("Model", bound=WireModel)


def caller(services: Services) -> Identity:
    """Who asks, by the ``Authorization: Bearer`` header; raise Refused. Looked at once per request."""
    if "caller" not in g:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        g.caller = services.gate.identify(token if scheme.lower() == "bearer" else None)
    identity: Identity = g.caller
    return identity


def grant(services: Services, topic: Topic) -> Identity:
    """Who asks, if they may see this topic; raise Refused. An unknown job looks like a forbidden one."""
    identity = caller(services)
    authorise(identity, topic, services.ledger.belongs_to)
    return identity


def json_text(text: str, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A response around JSON text; live state is never cached without asking."""
    response = Response(text, status, headers, mimetype="application/json")
    response.headers.setdefault("Cache-Control", "no-cache")
    return response


def json_of(model: WireModel, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A response around a wire model."""
    text = model.model_dump_json(by_alias=True, exclude_none=True)
    return json_text(text, status, headers)


def body_as(model: type[Model]) -> Model:
    """The request's JSON body; raises InvalidPayload or pydantic's ValidationError."""
    body = request.get_json(silent=True)
    if not isinstance(body, dict):
        raise InvalidPayload("the body is not a JSON object")
    return model.model_validate(body)


def number_argument(name: str, default: int, highest: int) -> int:
    """A whole number of the query string, from 0 to ``highest``; raise InvalidPayload."""
    text = request.args.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > 16 or int(text) > highest:
        raise InvalidPayload(f"{name} is a whole number from 0 to {highest}")
    return int(text)


def uploaded_text(field: str) -> str:
    """A text file of a multipart form; raise InvalidPayload when it is missing or not UTF-8."""
    upload: Any = request.files.get(field)
    if upload is None:
        raise InvalidPayload(f"the form has no file named {field}")
    try:
        text: str = upload.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidPayload(f"{field} is not UTF-8 text") from error
    return text
