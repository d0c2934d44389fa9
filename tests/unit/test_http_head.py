"""What is a request's head, and what two readers could take differently."""

from __future__ import annotations

import pytest

from jobcast.server.websocket.http_head import BadHead, check_head


def status_of(head: bytes) -> int:
    """What this head is answered with, 200 when it is one."""
    try:
        check_head(head.splitlines(keepends=True) if b"\r" not in head.replace(b"\r\n", b"") else [head])
    except BadHead as error:
        return error.status
    return 200


def post(*fields: str) -> bytes:
    return "\r\n".join(["POST / HTTP/1.1", "Host: a", *fields, "", ""]).encode("latin-1")


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        (["Content-Length: 5"], 200),
        (["Transfer-Encoding: chunked"], 200),
        (["Transfer-Encoding: Chunked"], 200),
        (["Transfer-Encoding: chunked", "Content-Length: 5"], 400),
        (["Content-Length: 5", "Content-Length: 6"], 400),
        (["Content-Length: 5, 6"], 400),
        (["Content-Length: +5"], 400),
        (["Content-Length: 1_0"], 400),
        (["Content-Length: -1"], 400),
        (["Content-Length:"], 400),
        (["Content-Length : 5"], 400),
        (["Content-Length:", " 5"], 400),
        (["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"], 400),
        (["Transfer-Encoding: chunked, identity"], 400),
        (["Transfer-Encoding: \x0bchunked"], 400),
        (["Transfer-Encoding: gzip, chunked"], 501),
        (["Transfer-Encoding: xchunked"], 501),
        (["Host: b"], 400),
        (["X: a\0b"], 400),
        (["X: a\rContent-Length: 5"], 400),
        (["nonsense"], 400),
        ([" X: y"], 400),
    ],
)
def test_a_length_is_said_once_and_clearly(fields, status):
    """RFC 9112, sections 5 and 6."""
    assert status_of(post(*fields)) == status


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 200),
        (b"GET / HTTP/1.0\r\n\r\n", 200),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\nHost: a\n\n", 400),
        (b"GET /\r\nHost: a\r\n\r\n", 400),
        (b"GET / http/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
        (b"GET\t/\tHTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET / x HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"get / HTTP/1.1\r\nHost: a\r\n\r\n", 405),
        (b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", 405),
        (b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    ],
)
def test_a_request_line_has_three_parts(line, status):
    """RFC 9112, section 3."""
    assert status_of(line) == status
