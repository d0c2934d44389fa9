"""The audit log: one JSON line on standard error for everything that was decided about somebody.

It has ids (user, connection, topic, address, request) and the contract's codes, and nothing else that a
client sent. An id with something like a token in it is left out.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

import structlog

#: What is noted: everything, what changes something or was refused, or nothing.
Extent = Literal["all", "changes", "off"]
Kind = Literal[
    "connect", "disconnect", "subscribe", "refuse", "limit", "publish", "sync", "approve", "cancel"
]

Environ = Mapping[str, Any]
#: ``address`` and ``request_id``, as far as they are known.
Origin = dict[str, str | None]

LOGGER: Final = "jobcast.audit"
_CHANGES: Final[frozenset[Kind]] = frozenset({"refuse", "limit", "publish", "sync", "approve", "cancel"})
_COMINGS: Final[frozenset[Kind]] = frozenset({"connect", "disconnect"})
#: How every JWT begins: ``{"`` in base 64.
_JWT: Final = "eyJ"
_REFUSALS: Final[dict[str, Kind]] = {
    "unauthenticated": "refuse",
    "forbidden": "refuse",
    "rate-limited": "limit",
    "too-many-subscriptions": "limit",
}

_log: Any = structlog.wrap_logger(
    logging.getLogger(LOGGER),
    processors=[
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        structlog.processors.EventRenamer("audit"),
        structlog.processors.JSONRenderer(),
    ],
    wrapper_class=structlog.stdlib.BoundLogger,
    cache_logger_on_first_use=True,
)


def _peer(environ: Environ) -> str | None:
    address: str | None = environ.get("REMOTE_ADDR")
    return address


class _Noted:
    """Which kinds are noted in this process, and how an environ tells where somebody comes from."""

    kinds: frozenset[Kind] = frozenset()
    address_of: Callable[[Environ], str | None] = staticmethod(_peer)
    request: Callable[[], Origin] = staticmethod(dict)


def start(
    extent: Extent,
    *,
    keyed: bool = True,
    address_of: Callable[[Environ], str | None] = _peer,
    request: Callable[[], Origin] = dict,
) -> None:
    """Write what ``extent`` says to standard error from now on, one bare JSON object a line.

    Without a key everybody is nobody in particular, and only ``all`` notes who comes and goes. ``request``
    returns the address and id of the HTTP request that is being served, empty outside of one.
    """
    everything: frozenset[Kind] = _CHANGES | _COMINGS | {"subscribe"}
    changes = _CHANGES | _COMINGS if keyed else _CHANGES
    _Noted.address_of = staticmethod(address_of)
    _Noted.request = staticmethod(request)
    _Noted.kinds = {"all": everything, "changes": changes, "off": frozenset[Kind]()}[extent]
    logger = logging.getLogger(LOGGER)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    if not logger.handlers:
        logger.addHandler(logging.StreamHandler(sys.stderr))


def note(kind: Kind, environ: Environ | None = None, /, **ids: str | None) -> None:
    """Write one line; cheap when this kind is not noted.

    The address is added where there is an ``environ`` or a request, the request's id in a request.
    """
    if kind in _Noted.kinds:
        known = {name: _safe(value) for name, value in (ids | _origin(environ)).items() if value}
        _log.info(kind, **known)


def refused(code: str, environ: Environ | None = None, /, **ids: str | None) -> None:
    """Note a refusal, if its code is one: a mistyped id or a store that is away is nobody's attempt."""
    if kind := _REFUSALS.get(code):
        note(kind, environ, code=code, **ids)


def _safe(value: str) -> str:
    return "(a token)" if _JWT in value else value


def _origin(environ: Environ | None) -> Origin:
    if environ is not None:
        return {"address": _Noted.address_of(environ)}
    return _Noted.request()
