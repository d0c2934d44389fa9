"""What every answer says to a browser: who may read it, whether to keep it, and what not to try."""

from __future__ import annotations

from typing import Final

from flask import Response, request

from jobcast.flask.origins import IsAllowed
from jobcast.flask.problems import Target

#: Nothing from elsewhere, nothing inline, in nobody's frame.
CONTENT_SECURITY_POLICY: Final = "; ".join(
    (
        "default-src 'self'",
        "img-src 'self' data:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
_ALWAYS: Final = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    # Listed origins read by CORS, which this does not concern.
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
#: One year; said over TLS only, where alone browsers listen to it.
_STRICT_TRANSPORT: Final = "max-age=31536000"
_CORS: Final = {
    "Access-Control-Allow-Methods": "GET, POST, DELETE",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, If-None-Match, X-Request-Id",
    "Access-Control-Expose-Headers": "ETag, Location, Retry-After, X-Request-Id",
}


def add_headers(target: Target, is_allowed: IsAllowed) -> None:
    """CORS for the listed origins, and what keeps a browser from guessing, framing or keeping."""

    @target.before_request
    def preflight() -> Response | None:
        return Response(status=204) if request.method == "OPTIONS" else None

    @target.after_request
    def headers(response: Response) -> Response:
        response.headers.update(_ALWAYS)
        if request.is_secure:
            response.headers["Strict-Transport-Security"] = _STRICT_TRANSPORT
        if "/api/" in request.path:  # somebody's jobs; clients keep the ETag themselves
            response.headers["Cache-Control"] = "no-store"
        _allow_origin(response, is_allowed)
        return response


def _allow_origin(response: Response, is_allowed: IsAllowed) -> None:
    origin = request.headers.get("Origin")
    if origin and is_allowed(origin, request.environ):
        response.headers.update(_CORS | {"Access-Control-Allow-Origin": origin})
    response.vary.add("Origin")
