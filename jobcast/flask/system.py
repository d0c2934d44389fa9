"""Health, configuration, metrics, and the descriptions that machines read."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, Response, jsonify
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from jobcast.flask.openapi import Document, asyncapi
from jobcast.flask.problems import problem
from jobcast.flask.requests import json_of
from jobcast.models import ServerConfig
from jobcast.server.namespaces import hello
from jobcast.server.readiness import Readiness
from jobcast.server.services import Services


def system_blueprint(
    services: Services,
    readiness: Readiness,
    registry: CollectorRegistry,
    describe: Callable[[], Document],
) -> Blueprint:
    """Routes that concern the process, not its data."""
    routes = Blueprint("system", __name__)

    @routes.get("/healthz")
    def healthz() -> Response:
        return jsonify(status="ok")

    @routes.get("/readyz")
    def readyz() -> Response:
        if failing := readiness.failing():
            return problem(503, "unavailable", failing)
        return jsonify(status="ready")

    @routes.get("/api/config")
    def config() -> Response:
        known = hello(services.settings).model_dump()
        interval = services.settings.jobcast_polling_interval_ms
        return json_of(ServerConfig(**known, polling_interval=interval))

    @routes.get("/metrics")
    def metrics() -> Response:
        return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)

    @routes.get("/openapi.json")
    def openapi_document() -> Response:
        return jsonify(describe())

    @routes.get("/asyncapi.json")
    def asyncapi_document() -> Response:
        return jsonify(asyncapi())

    return routes
