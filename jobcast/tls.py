"""TLS to Redis: verified, with the system's authorities or one's own; one named setting switches that off.

``redis-py`` and Celery take the same decisions in different forms. Both are made here.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

SCHEME: Final = "rediss"
#: What a URL may not say, because there is a setting for it.
_RESERVED: Final = ("ssl_cert_reqs", "ssl_check_hostname", "ssl_ca_certs")
INSECURE: Final = (
    "JOBCAST_REDIS_TLS_INSECURE is on: anybody between here and Redis can read and change what travels"
)


def reserved_in(url: str) -> str | None:
    """The first TLS option that a ``rediss://`` URL carries itself, and should not."""
    query = parse_qs(urlsplit(url).query, keep_blank_values=True)
    return next((name for name in _RESERVED if name in query), None)


def with_tls(url: str, *, insecure: bool, authorities: Path | None) -> str:
    """The URL as ``redis-py`` reads it; one without TLS is not changed."""
    parts = urlsplit(url)
    if parts.scheme != SCHEME:
        return url
    options = {"ssl_cert_reqs": "none" if insecure else "required"}
    if authorities is not None:
        options["ssl_ca_certs"] = str(authorities)
    query = "&".join(filter(None, (parts.query, urlencode(options))))
    return urlunsplit(parts._replace(query=query))


def celery_options(url: str, *, insecure: bool, authorities: Path | None) -> dict[str, Any] | None:
    """``broker_use_ssl`` and ``redis_backend_use_ssl`` for this URL; None for one without TLS."""
    if not url.startswith(f"{SCHEME}://"):
        return None
    options: dict[str, Any] = {"ssl_cert_reqs": ssl.CERT_NONE if insecure else ssl.CERT_REQUIRED}
    if authorities is not None:
        options["ssl_ca_certs"] = str(authorities)
    return options
