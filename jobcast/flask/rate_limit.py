"""How many HTTP requests somebody may make: a user by token, anybody else by address."""

from __future__ import annotations

import time
from typing import Final

from flask import Flask, Response, request
from flask_limiter import Limiter, RateLimitExceeded

from jobcast.flask.problems import problem
from jobcast.flask.requests import caller
from jobcast.server import audit
from jobcast.server.authorization import RequestRefused
from jobcast.server.client_address import Addresses
from jobcast.server.services import Services
from jobcast.server.tarpit import Tarpit

#: Routes that are asked by machines which have to get an answer.
_EXEMPT: Final = frozenset({"system.healthz", "system.readyz", "system.metrics"})


def limit_requests(app: Flask, services: Services, addresses: Addresses, tarpit: Tarpit) -> None:
    """Answer 429 to whoever asks too often. Counted in this process; all routes together.

    A sliding counter takes two numbers for each who asks, however many requests are allowed.
    """

    def who() -> str:
        try:
            user = caller(services).user
        except RequestRefused:
            user = ""
        return f"user:{user}" if user else addresses.of(request.environ)

    limiter = Limiter(
        who,
        app=app,
        application_limits=[f"{services.settings.jobcast_limit_requests_per_minute} per minute"],
        storage_uri="memory://",
        strategy="sliding-window-counter",
    )
    limiter.request_filter(lambda: request.endpoint in _EXEMPT or not who())
    app.register_error_handler(RateLimitExceeded, lambda _: _too_many(limiter, tarpit))


def _too_many(limiter: Limiter, tarpit: Tarpit) -> Response:
    audit.refused("rate-limited", route=request.endpoint)
    tarpit.hold()
    limit = limiter.current_limit
    wait = limit.reset_at - time.time() if limit else 1.0
    return problem(429, "rate-limited", "too many requests", max(1.0, wait))
