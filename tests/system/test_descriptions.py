"""What machines read of the system: OpenAPI, AsyncAPI, metrics."""

from __future__ import annotations

import re

from openapi_spec_validator import validate

from tests.watcher import Watcher
from web.app import create_app
from web.settings import WebSettings


def test_the_openapi_document_is_valid_and_names_every_route(stack):
    """A route that is added without being described fails here."""
    document = stack.get("/openapi.json").json()
    validate(document)
    described = {(m, path) for path, methods in document["paths"].items() for m in methods}
    app = create_app(WebSettings(redis_url="redis://127.0.0.1:1/0", socketio_async_mode="threading")).app
    served = {
        (method.lower(), re.sub(r"<(?:\w+:)?(\w+)_id>", r"{\1Id}", rule.rule))
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if rule.rule.startswith("/api/")
    }
    assert described == served


def test_the_asyncapi_document_has_the_namespaces_and_their_events(stack):
    """The table of the wire contract, section 1."""
    document = stack.get("/asyncapi.json").json()
    assert document["asyncapi"] == "3.0.0"
    addresses = {channel["address"] for channel in document["channels"].values()}
    assert addresses == {"/jobs", "/notifications", "/analytics", "/", "/default"}
    jobs = document["channels"]["jobs"]["messages"]
    assert {"subscribe-job", "unsubscribe-job", "cancel-job", "job:status-changed"} <= set(jobs)
    reference = jobs["job:status-changed"]["payload"]["$ref"].rpartition("/")[2]
    assert "jobId" in document["components"]["schemas"][reference]["properties"]


def test_the_metrics_count_what_went_through(stack):
    """In Prometheus' text format."""

    def value(name: str) -> float:
        lines = stack.get("/metrics").text.splitlines()
        return next(float(line.split()[1]) for line in lines if line.split()[0] == name)

    before = value("jobcast_subscriptions")
    with Watcher(stack.url) as watcher:
        watcher.call("subscribe-job", "counted")
        assert value("jobcast_subscriptions") == before + 1
        assert value("jobcast_clients") >= 1
    assert value("jobcast_listening") == 1
    assert value("process_resident_memory_bytes") > 1e6
