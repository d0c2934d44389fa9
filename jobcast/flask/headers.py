"""What every answer says to a browser: who may read it, whether to keep it, and what not to try."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

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
ALWAYS: Final = {
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
#: What tracing libraries add to every request of a page, which a browser asks about first.
_TRACING: Final = (
    *("traceparent", "tracestate", "baggage", "sentry-trace", "newrelic"),
    *("b3", "X-B3-TraceId", "X-B3-SpanId", "X-B3-ParentSpanId", "X-B3-Sampled", "X-B3-Flags"),
    *("x-datadog-trace-id", "x-datadog-parent-id", "x-datadog-origin", "x-datadog-sampling-priority"),
    *("X-Amzn-Trace-Id", "X-Cloud-Trace-Context"),
)
#: Seconds a browser may keep the answer to a preflight; two hours are the most that any keeps.
MAX_AGE: Final = "7200"
_CORS: Final = {
    "Access-Control-Allow-Methods": "GET, POST, DELETE",
    "Access-Control-Allow-Headers": ", ".join(
        ("Authorization", "Content-Type", "If-None-Match", "X-Request-Id", *_TRACING)
    ),
    "Access-Control-Expose-Headers": "ETag, Location, Retry-After, X-Request-Id",
}


def add_headers(target: Target, is_allowed: IsAllowed) -> None:
    """CORS for the listed origins, and what keeps a browser from guessing, framing or keeping."""

    @target.before_request
    def preflight() -> Response | None:
        if request.method != "OPTIONS":
            return None
        return Response(status=204, headers={"Access-Control-Max-Age": MAX_AGE})

    @target.after_request
    def headers(response: Response) -> Response:
        response.headers.update(ALWAYS)
        if request.is_secure:
            response.headers["Strict-Transport-Security"] = _STRICT_TRANSPORT
        if "/api/" in request.path:  # somebody's jobs; clients keep the ETag themselves
            response.headers["Cache-Control"] = "no-store"
        _allow_origin(response, is_allowed)
        return response


def _allow_origin(response: Response, is_allowed: IsAllowed) -> None:
    response.headers.update(cors_headers(request.environ, is_allowed))
    response.vary.add("Origin")


def cors_headers(environ: Mapping[str, Any], is_allowed: IsAllowed) -> dict[str, str]:
    """What lets a page of an allowed origin read an answer; nothing for others."""
    origin = environ.get("HTTP_ORIGIN")
    if not origin or not is_allowed(origin, environ):
        return {}
    return _CORS | {"Access-Control-Allow-Origin": origin}
