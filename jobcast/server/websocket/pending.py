"""A connection from its first byte until it is known whose it is: ours, or eventlet's server's."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

from engineio.packet import OPEN, Packet

from jobcast.server.protocol.frames import text_frame
from jobcast.server.protocol.handshake import HEAD_LIMIT, NotOurs, Request, Undecided, answer, recognise
from jobcast.server.websocket.connection import WebSocketConnection
from jobcast.server.websocket.context import ServerContext
from jobcast.server.websocket.epoll_events import HALF_CLOSED, IN
from jobcast.server.websocket.upgrade import UPGRADE_TIMEOUT, Upgrade

logger = logging.getLogger(__name__)


class PendingConnection:
    """A connection that has not said enough yet. Its bytes are looked at, not read."""

    __slots__ = ("_context", "_decided", "_name", "_pass_on", "_peer", "_request", "_tcp")

    def __init__(
        self,
        context: ServerContext,
        tcp: socket.socket,
        peer: tuple[Any, ...],
        name: str,
        pass_on: Callable[[socket.socket, Any, str], None],
    ) -> None:
        self._context = context
        self._tcp = tcp
        self._peer = peer
        #: What it is counted by in the crowd.
        self._name = name
        self._pass_on = pass_on
        self._request: Request | None = None
        self._decided = False

    def ready(self, events: int) -> None:
        if self._decided:
            return
        try:
            self._look(self._tcp.recv(HEAD_LIMIT, socket.MSG_PEEK))
        except (BlockingIOError, InterruptedError):
            pass
        except Undecided:
            if events & HALF_CLOSED:
                self.give_up()
        except NotOurs:
            self._leave_to_wsgi()
        except OSError:
            self.give_up()

    def _look(self, head: bytes) -> None:
        if not head:
            raise ConnectionResetError
        self._request = recognise(head, self._peer, self._context.scope)
        self._decided = True
        self._context.scheduler.quick(self._enter)

    def tick(self, now: float) -> None:
        """Time is up for those who still have not said what they want."""
        if not self._decided:
            self._context.counters.timed_out += 1
            self.give_up()

    def _leave_to_wsgi(self) -> None:
        self._decided = True
        self._context.poller.forget(self._tcp.fileno())
        self._pass_on(self._tcp, self._peer, self._name)

    def _leave_crowd(self) -> None:
        self._context.pending_limit.leave(self._name)
        self._name = ""

    def give_up(self) -> None:
        self._decided = True
        self._leave_crowd()
        self._context.poller.forget(self._tcp.fileno())
        self._tcp.close()

    def _enter(self) -> None:
        try:
            self._answer()
        except NotOurs:
            self._leave_to_wsgi()
        except OSError:
            self.give_up()
        except Exception:
            logger.exception("a connection is turned away after an error of our own")
            self.give_up()

    def _answer(self) -> None:
        request = self._request
        if request is None:
            raise NotOurs
        request.take_in_hand()
        try:
            self._answer_to(request)
        finally:
            request.let_go()

    def _answer_to(self, request: Request) -> None:
        opening = answer(request.headers())
        query = _checked_query(self._context.engine, request)
        if sid := query.get("sid"):
            self._change_transport(request, opening, sid[0])
        elif not self._context.is_welcome(request):
            raise NotOurs
        else:
            self._welcome(request, opening)

    def _welcome(self, request: Request, opening: bytes) -> None:
        engine = self._context.engine
        self._tcp.recv(request.size)
        client = WebSocketConnection(self._context, self._tcp, engine.generate_id())
        self._tcp.sendall(opening + text_frame(_open_packet(engine, client.sid)))
        self._context.admit(client, request)
        engine._trigger_event("connect", client.sid, request, run_async=False)
        self._context.counters.websockets += 1
        self._leave_crowd()
        self._context.poller.hand_to(self._tcp.fileno(), client, IN)

    def _change_transport(self, request: Request, opening: bytes, sid: str) -> None:
        polling = self._context.engine.sockets.get(sid)
        if polling is None or polling.upgraded or polling.closed or not polling.connected:
            raise NotOurs
        self._tcp.recv(request.size)
        self._tcp.sendall(opening)
        # One session may be named by many who never finish: they stay in the crowd until then.
        upgrade = Upgrade(self._context, self._tcp, polling, request, self._leave_crowd)
        self._context.counters.upgrades += 1
        self._context.timers.add(upgrade, UPGRADE_TIMEOUT)
        self._context.poller.hand_to(self._tcp.fileno(), upgrade, IN)


def _checked_query(engine: Any, request: Request) -> dict[str, list[str]]:
    """The request's query, once it is sure that Engine.IO would take it; raise NotOurs."""
    query = parse_qs(request.target()[1])
    if query.get("EIO") != ["4"] or query.get("transport") != ["websocket"] or "j" in query:
        raise NotOurs
    environ = request.environ()
    if origin := environ.get("HTTP_ORIGIN"):
        allowed = engine._cors_allowed_origins(environ)
        if allowed is not None and origin not in allowed:
            raise NotOurs
    return query


def _open_packet(engine: Any, sid: str) -> bytes:
    pings = int(engine.ping_interval + engine.ping_interval_grace_period)
    content = {
        "sid": sid,
        "upgrades": [],
        "pingTimeout": int(engine.ping_timeout * 1000),
        "pingInterval": pings * 1000,
        "maxPayload": engine.max_http_buffer_size,
    }
    encoded: str = Packet(OPEN, content).encode()
    return encoded.encode()
