"""One id per HTTP request, from here through Celery to the job's events and the worker's log.

Whoever calls may bring one as ``X-Request-Id``; it is answered in the same header.
"""

from __future__ import annotations

import re
import uuid
from typing import Final

from flask import Response, g, has_request_context, request

from jobcast.flask.problems import Target

HEADER: Final = "X-Request-Id"
_ID: Final = re.compile(r"[A-Za-z0-9._~-]{1,128}")


def add_request_ids(target: Target) -> None:
    """Answer every request in there with its id."""

    @target.after_request
    def answer(response: Response) -> Response:
        response.headers[HEADER] = request_id() or ""
        return response


def request_id() -> str | None:
    """The id of the request that is being served; None elsewhere, in a socket's events too."""
    if not has_request_context():
        return None
    if "request_id" not in g:
        g.request_id = _given() or uuid.uuid4().hex
    found: str = g.request_id
    return found


def origin_of_request() -> dict[str, str | None]:
    """The address and the id of the request that is being served, for the audit log; empty elsewhere."""
    if not has_request_context():
        return {}
    return {"address": request.remote_addr, "request_id": request_id()}


def _given() -> str | None:
    """An id that can go into logs and events as it is."""
    given = request.headers.get(HEADER, "")
    return given if _ID.fullmatch(given) else None
