"""The built dashboard at ``/``, and the two example files it can start work with."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from flask import Blueprint, Response, abort, send_from_directory

ROOT: Final = Path(__file__).resolve().parent.parent
DIST: Final = ROOT / "client" / "dist"
EXAMPLES: Final = ROOT / "examples"
EXAMPLE_FILES: Final = frozenset({"content_calendar.csv", "metrics_export.csv"})


def dashboard_blueprint() -> Blueprint:
    """Static files; assets have their content's hash in their name and never change."""
    routes = Blueprint("dashboard", __name__)

    @routes.get("/")
    def index() -> Response:
        if not (DIST / "index.html").is_file():
            return Response("The dashboard is not built: run make setup.\n", 503, mimetype="text/plain")
        return send_from_directory(DIST, "index.html", max_age=0)

    @routes.get("/assets/<path:name>")
    def asset(name: str) -> Response:
        return send_from_directory(DIST / "assets", name, max_age=31_536_000)

    @routes.get("/examples/<name>")
    def example(name: str) -> Response:
        if name not in EXAMPLE_FILES:
            abort(404)
        return send_from_directory(EXAMPLES, name, max_age=0)

    return routes
