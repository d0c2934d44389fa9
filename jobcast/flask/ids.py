"""Ids in the paths of routes: percent-encoded, as one segment, whatever they hold."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

from flask import request
from werkzeug.routing import BaseConverter

#: The converter's name in rules, ``<jobcast_id:job_id>``; the application's own names are left alone.
ID: Final = "jobcast_id"
#: What servers call the path as it was sent: eventlet, then uWSGI and Werkzeug, then gunicorn.
_AS_SENT: Final = ("RAW_PATH_INFO", "REQUEST_URI", "RAW_URI")


class IdConverter(BaseConverter):
    """An id with slashes too: WSGI decodes a path before it is matched."""

    regex = r"[\s\S]+?"  # a line end is refused as an id, not as a path
    part_isolating = False
    weight = 200  # after any rule that says more

    def to_url(self, value: str) -> str:
        return quote(value, safe="")


def is_last_segment(name: str) -> bool:
    """Whether the path ends with this segment, not with an id that ends so: ``x%2Fhistory``."""
    sent = next((path for key in _AS_SENT if (path := request.environ.get(key))), request.path)
    return bool(sent.partition("?")[0].endswith(f"/{name}"))
