"""A request's head, read as strictly as RFC 9112 allows: what two readers could take differently is refused.

h11 knows the grammar; what it still forgives, for the sake of old clients, is looked at before.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import h11

#: Largest head, in bytes; lines have a bound of their own where they are read.
HEAD_BYTES: Final = 64 * 1024
_VERSIONS: Final = (b"1.0", b"1.1")


class BadHead(Exception):
    """Raised for a head that is no HTTP, or not clearly; ``status`` is the answer to it."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def check_head(lines: Iterable[bytes]) -> None:
    """Raise BadHead unless these lines, with their ends, are one request's head."""
    lines = list(lines)
    for line in lines:
        _check_line(line)
    codings = [value for name, value in _fields(lines) if name == b"transfer-encoding"]
    try:
        parser = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_BYTES)
        parser.receive_data(b"".join(lines))
        request = parser.next_event()
    except h11.RemoteProtocolError as error:
        if error.error_status_hint == 501:
            _check_codings(codings)
        raise BadHead(error.error_status_hint, str(error)) from error
    if not isinstance(request, h11.Request):
        raise BadHead(400, "no whole request")
    _check_request(request, codings)


def _check_line(line: bytes) -> None:
    if not line.endswith(b"\r\n") or any(odd in line[:-2] for odd in (b"\r", b"\n", b"\0")):
        raise BadHead(400, "a line does not end as it should")
    if line[:1] in (b" ", b"\t"):
        raise BadHead(400, "a folded line")


def _fields(lines: list[bytes]) -> list[tuple[bytes, bytes]]:
    found = [line.partition(b":") for line in lines[1:]]
    return [(name.lower(), value.strip(b" \t\r\n").lower()) for name, _, value in found]


def _check_request(request: h11.Request, codings: list[bytes]) -> None:
    if request.http_version not in _VERSIONS:
        raise BadHead(505, "no such version of HTTP")
    if request.method in (b"CONNECT", b"TRACE") or request.method != request.method.upper():
        raise BadHead(405, "no such method here")
    if codings:
        _check_codings(codings)
        if request.http_version == b"1.0" or any(name == b"content-length" for name, _ in request.headers):
            raise BadHead(400, "two lengths")


def _check_codings(codings: list[bytes]) -> None:
    """``chunked``, once and alone; others are not known, and last it has to be."""
    if len(codings) > 1:
        raise BadHead(400, "Transfer-Encoding: more than once")
    names = [name.strip() for name in codings[0].split(b",")]
    if b"chunked" in names[:-1]:
        raise BadHead(400, "Transfer-Encoding: chunked is not the last")
    if names != [b"chunked"]:
        raise BadHead(501, "no such Transfer-Encoding")
