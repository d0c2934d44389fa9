"""What is taken for the opening of a Socket.IO WebSocket, and what is left to eventlet's server."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection
from wsproto.events import Request as Opening

from jobcast.server.protocol.handshake import HEAD_LIMIT, NotOurs, Request, Undecided, answer, recognise
from jobcast.server.websocket.build import _scope
from jobcast.server.websocket.lazy_environ import LazyEnvirons
from tests.stack import ROOT

TARGET = "/socket.io/?EIO=4&transport=websocket"
HEADERS = {
    "Host": "127.0.0.1",
    "Upgrade": "websocket",
    "Connection": "keep-alive, Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


def head(first: str = f"GET {TARGET} HTTP/1.1", **changes: str | None) -> bytes:
    """An opening request; a header is changed by its name, left out by None."""
    headers = HEADERS | {name.replace("_", "-"): value for name, value in changes.items()}
    lines = [f"{name}: {value}" for name, value in headers.items() if value is not None]
    return "\r\n".join([first, *lines, "", ""]).encode("latin-1")


def opened(data: bytes) -> bytes:
    """The answer to an opening request; raise NotOurs or Undecided."""
    request = recognise(data, ("127.0.0.1", 1), {})
    request.target()
    return answer(request.headers())


def test_a_good_opening_gets_the_answer_of_the_rfc():
    """Its own example: section 1.3."""
    assert b"\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in opened(head())


def test_wsproto_takes_our_answer_for_its_opening():
    """Written by a library, and read by it."""
    client = WSConnection(ConnectionType.CLIENT)
    found = opened(client.send(Opening(host="localhost:5000", target=TARGET)))
    client.receive_data(found)
    assert isinstance(next(client.events()), AcceptConnection)


@pytest.mark.parametrize(
    "data",
    [
        head(Upgrade="WebSocket"),
        head(Connection="upgrade"),
        head(Content_Length="0"),
        head(f"GET {TARGET}&sid=x HTTP/1.1"),
        head(X_Long="x" * 10_000),
        head().replace(b"Host", b"hOST"),
        head().replace(b"Host: ", b"Host:   "),
    ],
)
def test_what_clients_and_proxies_really_send_is_ours(data):
    """Names and tokens in any case, more spaces, more headers."""
    assert opened(data).startswith(b"HTTP/1.1 101 ")


NOT_OURS = {
    "another method": head(f"POST {TARGET} HTTP/1.1"),
    "a method in lower case": head(f"get {TARGET} HTTP/1.1"),
    "another version": head(f"GET {TARGET} HTTP/1.0"),
    "a version of the future": head(f"GET {TARGET} HTTP/2.0"),
    "no version": head(f"GET {TARGET}"),
    "a space in the target": head(f"GET {TARGET} x HTTP/1.1"),
    "another path": head("GET /sockets/?EIO=4&transport=websocket HTTP/1.1"),
    "no query": head("GET /socket.io/ HTTP/1.1"),
    "an absolute URL": head(f"GET http://127.0.0.1{TARGET} HTTP/1.1"),
    "an encoded path": head("GET /socket%2Eio/?EIO=4&transport=websocket HTTP/1.1"),
    "no key": head(Sec_WebSocket_Key=None),
    "a short key": head(Sec_WebSocket_Key="AAAA"),
    "a key that is no base64": head(Sec_WebSocket_Key="!" * 24),
    "a key with a letter beyond ASCII": head(Sec_WebSocket_Key="é" * 24),
    "another WebSocket version": head(Sec_WebSocket_Version="8"),
    "no WebSocket version": head(Sec_WebSocket_Version=None),
    "no Host": head(Host=None),
    "an empty Host": head(Host=""),
    "no Upgrade": head(Upgrade=None),
    "another Upgrade": head(Upgrade="h2c"),
    "a Connection that keeps": head(Connection="keep-alive"),
    "a body": head(Content_Length="5"),
    "a chunked body": head(Transfer_Encoding="chunked"),
    "a header twice": head().replace(b"Host: ", b"host: a\r\nHost: "),
    "a folded header": head(X_Folded="a\r\n b"),
    "a folded header with a colon": head(X_Folded="a\r\n b: c"),
    "a space before the colon": head().replace(b"Host:", b"Host :"),
    "a line without a colon": head().replace(b"Host", b"nonsense\r\nHost"),
    "a header without a name": head().replace(b"Host", b": x\r\nHost"),
    "bare line feeds": head().replace(b"\r\n", b"\n"),
    "one bare line feed": head().replace(b" HTTP/1.1\r\n", b" HTTP/1.1\n"),
    "a huge head": head(X_Huge="x" * HEAD_LIMIT)[:HEAD_LIMIT],
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00",
    "nothing but line ends": b"\r\n\r\n",
}


@pytest.mark.parametrize("name", NOT_OURS)
def test_anything_unusual_is_left_to_eventlets_server(name):
    """Which says what is wrong with it."""
    with pytest.raises(NotOurs):
        opened(NOT_OURS[name])


def test_as_long_as_it_may_become_one_it_is_undecided():
    """At every byte before the last one."""
    data = head()
    for end in range(1, len(data)):
        with pytest.raises(Undecided):
            recognise(data[:end], (), {})
    assert recognise(data, (), {}).size == len(data)


def test_what_follows_the_head_is_not_part_of_it():
    """The first frames may come in the same segment."""
    assert recognise(head() + b"\x81\x80\x00\x00\x00\x00", (), {}).size == len(head())


@given(st.binary(max_size=300), st.integers(0, 200))
def test_no_bytes_raise_anything_else(noise, place):
    """Alone, or in the middle of a good request."""
    for data in (noise, head()[:place] + noise + head()[place:]):
        try:
            assert opened(data).startswith(b"HTTP/1.1 101 ")
        except (NotOurs, Undecided):
            continue


STOCK = """
import json, sys, eventlet, eventlet.wsgi
listening = eventlet.listen(("127.0.0.1", 0))
print(*listening.getsockname(), flush=True)
def app(environ, start_response):
    start_response("200 OK", [("Connection", "close")])
    return [json.dumps({key: repr(value) for key, value in environ.items()}).encode()]
eventlet.wsgi.server(listening, app, log_output=False)
"""
#: What eventlet adds for itself, and streams, which are compared by what they offer.
ITS_OWN = {"eventlet.input", "eventlet.posthooks", "eventlet.set_idle", "headers_raw", "wsgi.input",
           "wsgi.errors"}  # fmt: skip


def test_a_handlers_environ_is_what_wsgi_would_have_given():
    """Key by key, against eventlet's own server in a process beside."""
    data = head(
        f"GET {TARGET}&t=%C3%BC+a%20b HTTP/1.1",
        Cookie="a=1; b=2",
        Origin="http://127.0.0.1",
        User_Agent="tests é",
        X_Forwarded_For="10.0.0.1, 10.0.0.2",
        X_Forwarded_Proto="https",
        Authorization="Bearer x",
        Content_Length="0",
        Content_Type="text/x",
    ).replace(b"Host:", b"X_Under-score: 1\r\nHost:")
    stock, scope, peer = in_stock(data)
    request = recognise(data, peer, scope)
    ours = request.environ()
    assert set(stock) - ITS_OWN <= set(ours)
    assert set(ours) - set(stock) <= {"flask.app"}
    stock["SERVER_PROTOCOL"] = repr("HTTP/1.1")  # eventlet says 1.0 whatever was asked
    differing = {k: (stock[k], repr(ours[k])) for k in stock.keys() - ITS_OWN if stock[k] != repr(ours[k])}
    assert differing == {}
    assert ours["wsgi.input"].read() == b""
    assert ours["wsgi.errors"].write


def in_stock(data: bytes) -> tuple[dict[str, str], dict, tuple]:
    """eventlet's environ of a request, what is the same for all of its requests, and who asked."""
    command = [sys.executable, "-W", "ignore", "-c", STOCK]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
        try:
            host, port = (server.stdout.readline() if server.stdout else "").split()
            with socket.create_connection((host, int(port)), timeout=10) as client:
                client.sendall(data)
                client.shutdown(socket.SHUT_WR)
                peer = client.getsockname()
                answered = b"".join(iter(lambda: client.recv(65_536), b""))
        finally:
            server.kill()
    scope = _scope(None, SimpleNamespace(getsockname=lambda: (host, int(port))))
    return json.loads(answered.partition(b"\r\n\r\n")[2]), scope, peer


def test_environs_are_made_when_they_are_asked_for():
    """By index and by get; a stock client's is kept as it is."""
    environs = LazyEnvirons({"stock": {"REMOTE_ADDR": "1"}})
    environs["ours"] = Request(head(), ("127.0.0.1", 7), {})
    assert environs["ours"]["REMOTE_PORT"] == environs.get("ours")["REMOTE_PORT"] == "7"
    assert environs["stock"] is environs.get("stock")
    assert environs.get("nobody") is None
    with pytest.raises(KeyError):
        environs["nobody"]
