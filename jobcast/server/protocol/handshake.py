"""The opening request of a Socket.IO WebSocket: recognised strictly, answered in one piece.

Pure. Whatever is unusual about a request is not for us: eventlet's server then says what is wrong with it.
That is why a few lines are enough where a general HTTP parser has to forgive a lot.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import re
import sys
from typing import Any, Final
from urllib.parse import unquote, urlsplit

#: Bytes of head we look at; a longer one is not for us.
HEAD_LIMIT: Final = 16 * 1024
_START: Final = b"GET /socket.io/?"
_END: Final = b"\r\n\r\n"
#: A line that ends without a carriage return: then the end of the head may look different.
_BARE_END: Final = re.compile(rb"(?<!\r)\n")
_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Undecided(Exception):
    """Raised as long as more bytes have to arrive."""


class NotOurs(Exception):
    """Raised for anything but a Socket.IO WebSocket's opening request."""


class Request:
    """One opening request, kept as the bytes that came; 15,000 parsed ones would be 15,000 dictionaries."""

    __slots__ = ("_environ", "_head", "_peer", "_scope")

    def __init__(self, head: bytes, peer: tuple[Any, ...], scope: dict[str, Any]) -> None:
        self._head = head
        self._peer = peer
        self._scope = scope
        self._environ: dict[str, Any] | None = None

    @property
    def size(self) -> int:
        """Bytes of the head, with the empty line that ends it."""
        return len(self._head)

    def headers(self) -> dict[str, str]:
        """Names in lower case; raise NotOurs for a line that is not ``name: value``."""
        found: dict[str, str] = {}
        for line in self._head[:-4].decode("latin-1").split("\r\n")[1:]:
            name, colon, value = line.partition(":")
            if not colon or not name or name != name.strip() or name.lower() in found:
                raise NotOurs
            found[name.lower()] = value.strip()
        return found

    def target(self) -> tuple[str, str]:
        """Path and query of the request line; raise NotOurs when there is no such line."""
        parts = self._head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
        if len(parts) != 3 or parts[2] != "HTTP/1.1":
            raise NotOurs
        split = urlsplit(parts[1])
        return split.path, split.query

    def environ(self) -> dict[str, Any]:
        """What WSGI would have said of it: enough for ``flask.request`` in a handler.

        A copy, made anew unless the request is *in hand*: several look at it while a client comes in.
        """
        return dict(self._environ) if self._environ is not None else self._made()

    def take_in_hand(self) -> None:
        self._environ = self._made()

    def let_go(self) -> None:
        self._environ = None

    def _made(self) -> dict[str, Any]:
        path, query = self.target()
        peer = (*self._peer, "", "")
        environ = {
            **self._scope,
            "REQUEST_METHOD": "GET",
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote(path, encoding="latin-1"),
            "RAW_PATH_INFO": path,
            "QUERY_STRING": query,
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": peer[0],
            "REMOTE_PORT": str(peer[1]),
            "wsgi.input": io.BytesIO(),
            "wsgi.errors": sys.stderr,
        }
        for name, value in self.headers().items():
            if "_" not in name:  # X_Forwarded_For must not pass for X-Forwarded-For
                environ[_variable(name)] = value
        return environ


def _variable(header: str) -> str:
    name = header.upper().replace("-", "_")
    return name if name in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{name}"


def recognise(head: bytes, peer: tuple[Any, ...], scope: dict[str, Any]) -> Request:
    """The request at the start of ``head``; raise Undecided or NotOurs."""
    if not head.startswith(_START):
        if _START.startswith(head):
            raise Undecided
        raise NotOurs
    end = head.find(_END)
    if end < 0:
        raise NotOurs if len(head) >= HEAD_LIMIT or _BARE_END.search(head) else Undecided
    return Request(head[: end + len(_END)], peer, scope)


def answer(headers: dict[str, str]) -> bytes:
    """The 101 that opens a WebSocket without extensions; raise NotOurs when none was properly asked for."""
    asked = {part.strip().lower() for part in headers.get("connection", "").split(",")}
    if "upgrade" not in asked or headers.get("upgrade", "").lower() != "websocket":
        raise NotOurs
    if headers.get("sec-websocket-version") != "13" or not headers.get("host"):
        raise NotOurs
    if headers.get("content-length", "0") != "0" or "transfer-encoding" in headers:
        raise NotOurs
    accept = base64.b64encode(hashlib.sha1(_key(headers) + _GUID).digest())  # noqa: S324  # the protocol's
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + _END
    )


def _key(headers: dict[str, str]) -> bytes:
    key = headers.get("sec-websocket-key", "").encode("latin-1")
    try:
        if len(base64.b64decode(key, validate=True)) == 16:
            return key
    except binascii.Error:
        pass
    raise NotOurs
