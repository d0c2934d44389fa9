"""The built dashboard at the root of the prefix, and ``jobcast.js`` for pages without a build step."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from flask import Blueprint, Response, send_from_directory

#: Where the client is built to; in a wheel it comes along.
STATIC: Final = Path(__file__).resolve().parent / "static"
#: Seconds a browser may keep what has its content's hash in its name.
FOREVER: Final = 31_536_000


def dashboard_blueprint() -> Blueprint:
    """Static files; assets have their content's hash in their name and never change."""
    routes = Blueprint("dashboard", __name__)

    @routes.get("/")
    def index() -> Response:
        return _built("index.html")

    @routes.get("/jobcast.js")
    def bundle() -> Response:
        return _built("jobcast.js")

    @routes.get("/assets/<path:name>")
    def asset(name: str) -> Response:
        return send_from_directory(STATIC / "assets", name, max_age=FOREVER)

    return routes


def _built(name: str) -> Response:
    if not (STATIC / name).is_file():
        return Response("The client is not built: run make setup.\n", 503, mimetype="text/plain")
    return send_from_directory(STATIC, name, max_age=0)
