"""Who comes in, and by which way: a Socket.IO WebSocket stays here, all else goes on to eventlet's server."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qs

import eventlet
from engineio.packet import OPEN, Packet
from eventlet.greenio import GreenSocket
from eventlet.hubs import notify_opened

from jobcast.server.delivery.write_batch import WriteBatch
from jobcast.server.protocol.frames import text_frame
from jobcast.server.protocol.handshake import HEAD_LIMIT, NotOurs, Request, Undecided, answer, recognise
from jobcast.server.websocket.connection import WebSocketConnection
from jobcast.server.websocket.epoll_events import EDGE, HALF_CLOSED, IN
from jobcast.server.websocket.pending_limit import PendingLimit, PendingLimitReached
from jobcast.server.websocket.poller import Poller
from jobcast.server.websocket.scheduler import Scheduler
from jobcast.server.websocket.timers import TimerWheel
from jobcast.server.websocket.upgrade import UPGRADE_TIMEOUT, Upgrade

logger = logging.getLogger(__name__)

#: Connections accepted before anything else is looked at.
ACCEPT_AT_ONCE: Final = 16
#: Seconds to wait when there are no descriptors left.
NO_DESCRIPTORS_PAUSE: Final = 0.5


@dataclass(slots=True)
class ConnectionCounts:
    """How many came in which way since this process started."""

    websockets: int = 0
    upgrades: int = 0
    passed_on: int = 0
    timed_out: int = 0
    turned_away: int = 0


@dataclass(eq=False)
class ServerContext:
    """What all connections share; ``scope`` is the part of a WSGI environ that is the same for all."""

    engine: Any
    environs: dict[str, Any]
    scope: dict[str, Any]
    write_batch: WriteBatch
    #: Whether somebody may open another connection; eventlet's server tells those who may not.
    is_welcome: Callable[[Request], bool]
    #: Seconds in which a connection has to have said what it wants.
    patience: float
    pending_limit: PendingLimit = field(default_factory=PendingLimit)
    poller: Poller = field(default_factory=Poller)
    timers: TimerWheel = field(default_factory=lambda: TimerWheel(pause=lambda: eventlet.sleep(0)))
    scheduler: Scheduler = field(default_factory=Scheduler)
    counters: ConnectionCounts = field(default_factory=ConnectionCounts)

    def start(self) -> None:
        for loop in (self.poller.run, self.timers.run, self.scheduler.run):
            eventlet.spawn(loop)

    def admit(self, client: WebSocketConnection, request: Request) -> None:
        """Have Engine.IO know the client; its environ is made when somebody asks for it."""
        self.engine.sockets[client.sid] = client
        self.environs[client.sid] = request
        self.timers.add(client, self.engine.ping_interval)


class Acceptor:
    """The listening socket, as ``eventlet.wsgi`` sees it: ``accept()`` returns what is not ours.

    Once closed it lets nobody in, and leaves those inside alone; eventlet's server hangs up on everybody
    when its own socket goes.
    """

    def __init__(self, listening: Any, context: ServerContext) -> None:
        self._listening = listening
        self._context = context
        self._passed_on: Any = eventlet.Queue()
        self._is_open = True

    def open(self) -> None:
        """Begin to accept."""
        raw = self._listening.fd
        raw.setblocking(False)
        if raw.family != socket.AF_UNIX:
            # Small events do not wait for each other. Inherited by what is accepted.
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._context.poller.watch(raw.fileno(), self, IN)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._listening, name)

    def accept(self) -> Any:
        """The next connection for eventlet's server."""
        return self._passed_on.get()

    def close(self) -> None:
        if self._is_open:
            self._is_open = False
            self._context.poller.forget(self._listening.fileno())
            self._listening.close()

    def ready(self, events: int) -> None:
        """Accept what waits, and have a look at each."""
        for _ in range(ACCEPT_AT_ONCE):
            try:
                tcp, peer = self._listening.fd.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._rest(error)
                return
            try:
                self.let_in(tcp, peer)
            except Exception:
                logger.exception("a connection is turned away after an error of our own")
                tcp.close()

    def give_up(self) -> None:
        """Not because of one connection."""

    def let_in(self, tcp: socket.socket, peer: Any) -> None:
        """Look at a new connection."""
        tcp.setblocking(False)
        known = peer if isinstance(peer, tuple) else ()
        try:
            name = self._context.pending_limit.enter(known)
        except PendingLimitReached:
            self._context.counters.turned_away += 1
            tcp.close()
            return
        visitor = PendingConnection(self._context, tcp, known, name, self.pass_on)
        self._context.poller.watch(tcp.fileno(), visitor, IN | HALF_CLOSED | EDGE)
        self._context.timers.add(visitor, self._context.patience)
        visitor.ready(IN)  # what it wants has often come together with it

    def pass_on(self, tcp: socket.socket, peer: Any, name: str) -> None:
        self._context.counters.passed_on += 1
        notify_opened(tcp.fileno())
        green = GreenSocket(tcp)
        if name:
            green.close = self._leaving(green.close, name)
        self._passed_on.put((green, peer))

    def _leaving(self, close: Callable[[], None], name: str) -> Callable[[], None]:
        """What eventlet's server closes a connection with; it may do so twice."""
        names = [name]

        def closed() -> None:
            while names:
                self._context.pending_limit.leave(names.pop())
            close()

        return closed

    def _rest(self, error: OSError) -> None:
        logger.error("cannot accept connections for a moment: %s", error)
        raw = self._listening.fd
        self._context.poller.change(raw.fileno(), 0)
        eventlet.spawn_after(NO_DESCRIPTORS_PAUSE, self._resume)

    def _resume(self) -> None:
        if self._is_open:
            self._context.poller.change(self._listening.fileno(), IN)


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
