"""What every route needs: who asks, whether it is granted, and JSON that is already there."""

from __future__ import annotations

from typing import TypeVar

from flask import Response, g, request
from pydantic import ConfigDict

from jobcast.errors import InvalidPayload
from jobcast.flask.json_bounds import BODY_BYTES, VALUES, check_json
from jobcast.models import WireModel
from jobcast.server.authorization import Identity
from jobcast.server.services import Services
from jobcast.topics import Topic

Model = TypeVar("Model", bound=WireModel)


class NoFields(WireModel):
    """The body of a request that needs none: nothing, or an empty object."""

    model_config = ConfigDict(extra="forbid", populate_by_name=False)


def caller(services: Services) -> Identity:
    """Who asks, by the ``Authorization: Bearer`` header; raise RequestRefused. Looked at once per request."""
    if "caller" not in g:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        g.caller = services.authenticator.identify(
            token if scheme.lower() == "bearer" else None, request.environ
        )
    identity: Identity = g.caller
    return identity


def grant(services: Services, topic: Topic) -> Identity:
    """Who asks, if they may see this topic; raise RequestRefused, for an unknown job too."""
    identity = caller(services)
    services.authorizer.check(identity, topic)
    return identity


def json_text(text: str, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A response around JSON text."""
    return Response(text, status, headers, mimetype="application/json")


def json_of(model: WireModel, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A response around a wire model."""
    text = model.model_dump_json(by_alias=True, exclude_none=True)
    return json_text(text, status, headers)


def body_as(model: type[Model], *, most_bytes: int = BODY_BYTES, most_values: int = VALUES) -> Model:
    """The request's JSON body; raises InvalidPayload or pydantic's ValidationError.

    The content type has to say JSON: a form of another site's page cannot, without asking first.
    """
    if not request.is_json:
        raise InvalidPayload("the body has to be application/json")
    body = _data(most_bytes)
    check_json(body, most_values)
    return model.model_validate_json(body)


def no_body() -> None:
    """Raise InvalidPayload or ValidationError for a body that says something."""
    if _data(BODY_BYTES):
        body_as(NoFields)


def _data(most: int) -> bytes:
    """The body, if it is not larger than this and than the application's own limit; raises a 413."""
    known = request.max_content_length
    request.max_content_length = most if known is None else min(most, known)
    return request.get_data(cache=True)


def number_argument(name: str, default: int, highest: int) -> int:
    """A whole number of the query string, from 0 to ``highest``; raise InvalidPayload."""
    text = request.args.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > 16 or int(text) > highest:
        raise InvalidPayload(f"{name} is a whole number from 0 to {highest}")
    return int(text)
