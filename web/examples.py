"""The two example files that this deployment's dashboard can start work with."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from flask import Blueprint, Response, abort, send_from_directory

EXAMPLES: Final = Path(__file__).resolve().parent.parent / "examples"
EXAMPLE_FILES: Final = frozenset({"content_calendar.csv", "metrics_export.csv"})


def examples_blueprint() -> Blueprint:
    """Static files, by name."""
    routes = Blueprint("examples", __name__)

    @routes.get("/examples/<name>")
    def example(name: str) -> Response:
        if name not in EXAMPLE_FILES:
            abort(404)
        return send_from_directory(EXAMPLES, name, max_age=0)

    return routes
