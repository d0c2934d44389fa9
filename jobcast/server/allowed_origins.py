"""Origins that are listed in ``SOCKETIO_CORS_ORIGIN``: names, and patterns for preview hosts.

``https://app.example.com`` is one origin. A ``*`` in the first label stands for letters, digits and dashes:
``https://shop-*.example.com``, ``https://*.preview.example.com``. A label that is a ``*`` alone needs three
below it: all of ``*.vercel.app`` would be anybody's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

_PORTS: Final = {"http": 80, "https": 443}
_ANY: Final = "[a-z0-9-]+"
_HOST: Final = re.compile(r"[a-z0-9_*-]+(\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\]")


class AllowedOrigins:
    """``in`` says whether an origin is among them; raises ValueError for an origin no browser can send."""

    def __init__(self, listed: Iterable[str]) -> None:
        origins = [as_sent(origin) for origin in listed]
        self._exact = frozenset(origin for origin in origins if "*" not in origin)
        self._patterns = _pattern(origin for origin in origins if "*" in origin)
        self._hosts = frozenset(_host(origin) for origin in self._exact)
        self._host_patterns = _pattern(_host(origin) for origin in origins if "*" in origin)

    def __contains__(self, origin: object) -> bool:
        return origin in self._exact or (isinstance(origin, str) and bool(self._patterns.fullmatch(origin)))

    def has_host(self, host: str) -> bool:
        """Whether one of them is at this host, given with its port unless that is the usual one."""
        return host in self._hosts or bool(self._host_patterns.fullmatch(host))


def as_sent(origin: str) -> str:
    """The origin as browsers send it; raises ValueError, with the reason, where they cannot."""
    if origin == "*":
        raise ValueError("list the origins; * would let in every page")
    scheme, separator, rest = origin.rstrip("/").partition("://")
    if not separator or not re.fullmatch(r"[a-z][a-z0-9+.-]*", scheme.lower()):
        raise ValueError(f"{origin} is no origin: write it with its scheme, like https://{origin}")
    host, port = _host_and_port(origin, rest.lower())
    if "*" in host:
        _check_pattern(origin, host)
    is_usual = port is None or port == _PORTS.get(scheme.lower())
    return f"{scheme.lower()}://{host}" if is_usual else f"{scheme.lower()}://{host}:{port}"


def _host_and_port(origin: str, rest: str) -> tuple[str, int | None]:
    if re.search(r"[/?#@\s]", rest):
        raise ValueError(f"{origin} is no origin: it ends after the host and its port")
    try:
        port = urlsplit(f"//{rest}").port
    except ValueError:
        raise ValueError(f"{origin} is no origin: a port is a number up to 65535") from None
    host = re.sub(r":\d*$", "", rest)
    if not _HOST.fullmatch(host):
        raise ValueError(f"{origin} is no origin: no browser sends this host (xn--… for other letters)")
    return host, port


def _check_pattern(origin: str, host: str) -> None:
    first, *others = host.split(".")
    if first.count("*") != 1 or len(others) < (3 if first == "*" else 2):
        raise ValueError(
            f"{origin} is too wide: write a part of the name, like https://shop-*.example.com,"
            " or three labels below the *"
        )


def _pattern(texts: Iterable[str]) -> re.Pattern[str]:
    """What matches any of these; nothing when there are none."""
    parts = [re.escape(text).replace(r"\*", _ANY) for text in texts]
    return re.compile("|".join(parts) or r"(?!)")


def _host(origin: str) -> str:
    return origin.partition("://")[2]
