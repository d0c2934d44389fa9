"""What a client sends is either a packet or the end of its connection, on both transports.

engineio and socketio take a packet as far as they can and raise whatever comes of it, which ends up as a
traceback in the log, once for each packet of whoever plays with them. Here everything that cannot be
understood is a ``BadPacket``, the connection is closed, and the log has a line. Errors of our own handlers
are still logged in full.
"""

from __future__ import annotations

import contextlib
import functools
import io
import logging
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final
from urllib.parse import parse_qs

import socketio
from engineio import packet as engine
from engineio import payload
from socketio import packet as sio

from jobcast.server import audit
from jobcast.server.protocol.inbound_budget import BudgetSpent, InboundBudget
from jobcast.server.protocol.packets import BadPacket

logger = logging.getLogger(__name__)

#: Packets in one payload of a polling client, whose size is bounded too; a client that comes back sends all
#: its subscriptions in one, and engineio's 16 are fewer than that.
MOST_PACKETS: Final = 2_000
#: Types of Engine.IO packets that may be posted.
_FROM_CLIENTS: Final = (engine.CLOSE, engine.PONG, engine.MESSAGE, engine.UPGRADE)

WSGI = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def guard_packets(server: socketio.Server, budget: InboundBudget) -> None:
    """Have this server close quietly what sends no packets; it was made with ``StrictPacket``."""
    server.eio.on("message", _guarded(server))
    server._handle_connect = _refusing_unknown_namespaces(server)
    server.eio.handle_request = _guarded_requests(server.eio, budget)
    payload.Payload.max_decode_packets = MOST_PACKETS


def _guarded(server: socketio.Server) -> Callable[[str, Any], None]:
    handle = server._handle_eio_message

    @functools.wraps(handle)
    def guarded(eio_sid: str, data: Any) -> None:
        client = server.eio.sockets.get(eio_sid)
        if client is None or client.closing or client.closed:
            return
        try:
            _refuse_odd_messages(server, eio_sid, data)
            handle(eio_sid, data)
        except BadPacket as error:
            _close(server.eio, client, str(error))

    return guarded


def _refusing_unknown_namespaces(server: socketio.Server) -> Callable[[str, str | None, Any], None]:
    """Refuse a namespace that is not there with an object, as the protocol has it; the library has a text."""
    handle = server._handle_connect

    @functools.wraps(handle)
    def refusing(eio_sid: str, namespace: str | None, data: Any) -> None:
        name = namespace or "/"
        known = (server.handlers, server.namespace_handlers)
        is_open = server.namespaces == "*" or name in server.namespaces
        if is_open or any(name in names for names in known):
            handle(eio_sid, namespace, data)
            return
        error = {"message": "Invalid namespace"}
        server._send_packet(eio_sid, server.packet_class(sio.CONNECT_ERROR, data=error, namespace=name))

    return refusing


def _refuse_odd_messages(server: socketio.Server, eio_sid: str, data: Any) -> None:
    """What the library would find out only after decoding, and report as an error of its own."""
    if not data:
        raise BadPacket("no Socket.IO packet")
    if eio_sid in server._binary_packet or not isinstance(data, str) or data[0] not in "56":
        return
    namespace = server.packet_class(encoded_packet=data).namespace or "/"
    if not server.manager.sid_from_eio_sid(eio_sid, namespace):
        raise BadPacket("attachments for a namespace that is not connected")


def _close(eio: Any, client: Any, why: str, *, abort: bool = True) -> None:
    logger.info("client %s is closed: %s", client.sid, why)
    client.close(wait=False, abort=abort, reason=eio.reason.TRANSPORT_ERROR)


def _guarded_requests(eio: Any, budget: InboundBudget) -> WSGI:
    """Look at what a polling client asks before engineio does, which logs what is odd and says OK."""
    handle: WSGI = eio.handle_request
    polling: set[str] = set()

    @functools.wraps(handle)
    def guarded(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if not _is_known_kind(environ):
            start_response("400 BAD REQUEST", [("Content-Type", "text/plain")])
            return [b'"Bad Request"']
        client = _polling_client(eio, environ)
        if client is None:
            return handle(environ, start_response)
        is_poll = environ["REQUEST_METHOD"] == "GET"
        try:
            if not is_poll:
                _charge(eio, client, budget, environ, *_look_at_body(eio, environ))
                return handle(environ, start_response)
            _charge(eio, client, budget, environ, 1, 0)
            with _only_poll(polling, client.sid):
                return handle(environ, start_response)
        except BadPacket as error:
            _close(eio, client, str(error), abort=not is_poll)
            start_response("400 BAD REQUEST", [("Content-Type", "text/plain")])
            return [b'"Bad Request"']
        finally:
            if client.closed:
                eio.sockets.pop(client.sid, None)

    return guarded


def _charge(
    eio: Any, client: Any, budget: InboundBudget, environ: dict[str, Any], packets: int, size: int
) -> None:
    """Count what a polling client sent, of whatever kind; raise BadPacket for too much."""
    paid_until = getattr(client, "paid_until", 0.0)
    try:
        client.paid_until = budget.charge(paid_until, time.monotonic(), packets, size)
    except BudgetSpent as error:
        audit.note("limit", environ, sid=client.sid, code="rate-limited")
        raise BadPacket(str(error)) from error
    eio.sleep(0)  # whatever it sends, everybody else goes on


def _is_known_kind(environ: dict[str, Any]) -> bool:
    """Whether the method is one of the protocol's and, of a new session, the transport was said."""
    query = parse_qs(environ.get("QUERY_STRING", ""))
    method = environ["REQUEST_METHOD"]
    if method == "GET" and "sid" not in query:
        return "transport" in query
    return method in ("GET", "POST", "OPTIONS")


def _polling_client(eio: Any, environ: dict[str, Any]) -> Any:
    """The client of this request, if it is one that polls."""
    query = parse_qs(environ.get("QUERY_STRING", ""))
    sid = query.get("sid", [""])[0]
    client = eio.sockets.get(sid)
    if client is None:
        return None
    if client.closed:
        del eio.sockets[sid]  # engineio would raise
        return None
    is_polling = query.get("transport", ["polling"])[0] == "polling" and not client.upgraded
    return client if is_polling and environ["REQUEST_METHOD"] in ("GET", "POST") else None


@contextlib.contextmanager
def _only_poll(polling: set[str], sid: str) -> Iterator[None]:
    """Two polls at once would share out the messages between them."""
    if sid in polling:
        raise BadPacket("polls twice at once")
    polling.add(sid)
    try:
        yield
    finally:
        polling.discard(sid)


def _look_at_body(eio: Any, environ: dict[str, Any]) -> tuple[int, int]:
    """Packets and bytes of the body, left there to be read again; raise BadPacket for no payload."""
    is_chunked = environ.get("wsgi.input_terminated", False)
    most = eio.max_http_buffer_size
    length = most + 1 if is_chunked else int(environ.get("CONTENT_LENGTH") or 0)
    if length > most and not is_chunked:
        raise BadPacket("payload too big")
    try:
        body = environ["wsgi.input"].read(length)
        if len(body) > most:
            raise BadPacket("payload too big")
        packets = payload.Payload(encoded_payload=body.decode()).packets
    except (OSError, ValueError, LookupError, RecursionError) as error:
        raise BadPacket("no payload of Engine.IO packets") from error
    is_whole = is_chunked or len(body) == length
    if not is_whole or any(packet.packet_type not in _FROM_CLIENTS for packet in packets):
        raise BadPacket("no payload of Engine.IO packets")
    environ["wsgi.input"] = io.BytesIO(body)
    environ["CONTENT_LENGTH"] = str(len(body))
    return len(packets), len(body)
