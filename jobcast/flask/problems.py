"""Errors of the HTTP routes as ``application/problem+json`` (RFC 9457), with the contract's codes."""

from __future__ import annotations

import json
import logging
import math
from typing import Final

from flask import Blueprint, Flask, Response, request
from pydantic import ValidationError
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from jobcast.errors import InvalidPayload, LedgerUnavailable, QueueUnavailable
from jobcast.server import audit
from jobcast.server.errors import Conflict, RequestRefused, first_of

logger = logging.getLogger(__name__)

#: Where a server's rules hold: an application of its own, or its routes within somebody's.
Target = Flask | Blueprint

#: Seconds after which a client should try again while the store or the queue is away.
RETRY_AFTER: Final = 2
TOO_LARGE: Final = "the body, or a text field in it, is too large (JOBCAST_MAX_BODY_BYTES)"
_STATUS: Final = {
    "invalid-payload": 400,
    "unauthenticated": 401,
    "forbidden": 403,
    "not-found": 404,
    "rate-limited": 429,
    "unavailable": 503,
}
_CODE_OF: Final = {404: "not-found", 405: "invalid-payload", 413: "invalid-payload"}


def problem(status: int, code: str, detail: str, retry_after: float | None = None) -> Response:
    """One problem document; ``retry_after`` is in seconds."""
    body = {"type": "about:blank", "title": code, "status": status, "code": code, "detail": detail}
    response = Response(json.dumps(body), status, mimetype="application/problem+json")
    if status == 503 and retry_after is None:
        retry_after = RETRY_AFTER
    if retry_after is not None:
        response.headers["Retry-After"] = str(math.ceil(retry_after))
    if status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def register_problems(target: Target) -> None:
    """Answer every error in there with a problem document, never with a traceback."""
    target.register_error_handler(RequestRefused, _refused)
    target.register_error_handler(InvalidPayload, lambda e: problem(400, e.code, str(e)))
    target.register_error_handler(ValidationError, lambda e: problem(400, "invalid-payload", first_of(e)))
    target.register_error_handler(Conflict, lambda e: problem(409, "invalid-payload", e.message))
    target.register_error_handler(LedgerUnavailable, _unavailable)
    target.register_error_handler(QueueUnavailable, lambda e: problem(503, e.code, str(e)))
    target.register_error_handler(HTTPException, _http)
    target.register_error_handler(Exception, _unexpected)


def _refused(refused: RequestRefused) -> Response:
    ids = {name: value for name, value in (request.view_args or {}).items() if isinstance(value, str)}
    audit.refused(refused.code, route=route_name(), reason=refused.reason, **ids)
    return refusal(refused)


def route_name() -> str:
    """The route that is being served, as the audit log calls it: ``jobs.show``."""
    return (request.endpoint or "").removeprefix("jobcast.")


def refusal(refused: RequestRefused) -> Response:
    """What was not granted, as a problem document."""
    status = _STATUS.get(refused.code, 400)
    return problem(status, refused.code, refused.message, refused.retry_after)


def _unavailable(error: LedgerUnavailable) -> Response:
    logger.warning("answered 503: %s", error)
    return problem(503, "unavailable", error.reason)


def _http(error: HTTPException) -> Response:
    status = error.code or 500
    if isinstance(error, RequestEntityTooLarge):
        return problem(413, "invalid-payload", TOO_LARGE)
    return problem(status, _CODE_OF.get(status, "invalid-payload"), error.description or error.name)


def _unexpected(error: Exception) -> Response:
    logger.error("unexpected error in a route", exc_info=error)
    return problem(500, "unavailable", "something went wrong here; it has been logged")
