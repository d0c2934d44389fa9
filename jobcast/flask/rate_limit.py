"""How many HTTP requests somebody may make: a user by token, anybody else by address."""

from __future__ import annotations

import time
from typing import Final

from flask import Response, request
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from jobcast.flask.problems import Target, problem, route_name
from jobcast.flask.requests import caller
from jobcast.server import audit
from jobcast.server.client_address import Addresses
from jobcast.server.errors import RequestRefused
from jobcast.server.services import Services
from jobcast.server.tarpit import Tarpit

#: Routes that are asked by machines which have to get an answer.
_EXEMPT: Final = ("system.healthz", "system.readyz", "system.metrics")


def limit_requests(target: Target, services: Services, addresses: Addresses, tarpit: Tarpit) -> None:
    """Answer 429 to whoever asks too often. Counted in this process; all routes together.

    A sliding counter takes two numbers for each who asks, however many requests are allowed.
    """
    limit = RateLimitItemPerMinute(services.settings.jobcast_limit_requests_per_minute)
    window = SlidingWindowCounterRateLimiter(MemoryStorage())

    def who() -> str:
        try:
            user = caller(services).user
        except RequestRefused:
            user = ""
        return f"user:{user}" if user else addresses.of(request.environ)

    @target.before_request
    def check() -> Response | None:
        is_preflight = request.method == "OPTIONS"  # a browser's own, and answered from memory
        if is_preflight or (request.endpoint or "").endswith(_EXEMPT):
            return None
        asking = who()
        if not asking or window.hit(limit, asking):
            return None
        wait = window.get_window_stats(limit, asking).reset_time - time.time()
        return _too_many(wait, tarpit)


def _too_many(wait: float, tarpit: Tarpit) -> Response:
    audit.refused("rate-limited", route=route_name())
    tarpit.hold()
    return problem(429, "rate-limited", "too many requests", max(1.0, wait))
