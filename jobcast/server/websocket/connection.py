"""One client's WebSocket, in the shape Engine.IO expects of its sockets; a few hundred bytes while idle.

Reading happens when the poller says so and never waits. What a client sent is handled in order, by a
greenlet that exists only meanwhile. Answers are written at once, events when whoever offered them has no
more at hand (``WriteBatch``): a burst is then one ``send()`` for each client, not one for each event. What
the kernel does not take waits here, up to a bound, and goes out when it does.
"""

from __future__ import annotations

import logging
import socket
from collections import deque
from collections.abc import Iterator
from typing import Any, Final

from engineio import packet as engine
from engineio.exceptions import SocketIsClosedError

from jobcast.server import audit
from jobcast.server.delivery.direct import SLOW_AFTER_BYTES, DirectConnection
from jobcast.server.protocol import frames
from jobcast.server.protocol.events import Event, frame_of
from jobcast.server.protocol.frames import BadFrame, Close, Inbound, Message, Ping
from jobcast.server.protocol.inbound_budget import BudgetSpent
from jobcast.server.protocol.packets import BadPacket, decoded
from jobcast.server.websocket.context import ServerContext
from jobcast.server.websocket.epoll_events import ERROR, HUNG_UP, IN, OUT

logger = logging.getLogger(__name__)

#: Bytes read at once; as tiny frames they take 5 ms to parse.
READ_BYTES: Final = 4 * 1024
#: Bytes of events that are sent even though more may be at hand.
FLUSH_AT_BYTES: Final = 32 * 1024
#: Messages of one client that may wait to be handled; it is not read from meanwhile.
BACKLOG_MESSAGES: Final = 64
#: Messages of one client that are handled before others have their turn.
MESSAGES_PER_TURN: Final = 8
#: Seconds for the last bytes, and the other side's farewell, once a connection was closed.
LINGER_SECONDS: Final = 2.0

OPEN, CLOSING, LINGERING, GONE = range(4)

_PING: Final = frames.text_frame(b"2")
_CLOSE: Final = frames.text_frame(b"1")


class WebSocketConnection(DirectConnection):
    """Stands in ``engineio.Server.sockets`` like a stock socket whose upgrade is done."""

    __slots__ = (
        "__weakref__",
        "_awaits_pong",
        "_backlog",
        "_blocked",
        "_context",
        "_fd",
        "_inbound",
        "_paid_until",
        "_session",
        "_state",
        "_unsent",
        "_unsent_bytes",
        "closed",
        "closing",
        "last_ping",
        "sid",
        "tcp",
    )
    connected = upgraded = True
    upgrading = False

    def __init__(self, context: ServerContext, tcp: socket.socket, sid: str) -> None:
        self.sid = sid
        self.tcp = tcp
        self.closed = self.closing = False
        self.last_ping: float | None = None
        self._context = context
        self._fd = tcp.fileno()
        self._state = OPEN
        self._awaits_pong = False
        self._inbound: Inbound | None = None
        self._paid_until = 0.0
        self._backlog: deque[Any] | None = None
        self._unsent: list[bytes] | None = None
        self._unsent_bytes = 0
        self._blocked = False
        self._session: dict[str, Any] | None = None

    # What Engine.IO and Socket.IO ask of a socket.

    @property
    def server(self) -> Any:
        return self._context.engine

    @property
    def session(self) -> dict[str, Any]:
        if self._session is None:
            self._session = {}
        return self._session

    @session.setter
    def session(self, session: dict[str, Any]) -> None:
        self._session = session

    def send(self, packet: engine.Packet) -> None:
        """Send an answer or a stock emit; a client that lets too many of them wait is cut off."""
        if self.closed:
            raise SocketIsClosedError
        if self._state == OPEN:
            self._answer(frame_of(packet))

    def check_ping_timeout(self) -> bool:
        """The wheel does that."""
        if self.closed:
            raise SocketIsClosedError
        return True

    def close(self, wait: bool = True, abort: bool = False, reason: str | None = None) -> None:
        """End the connection; ``abort`` leaves out Engine.IO's farewell. Handlers have run on return."""
        if self.closing:
            return
        if not abort:
            self._write(_CLOSE)
        self._shut(frames.NORMAL)
        self._tell_disconnect(reason or self.server.reason.SERVER_DISCONNECT)

    # What the fan-out asks.

    def offer(self, event: Event) -> bool:
        """Take an event, for the next flush, unless the client is too far behind for it."""
        if self._state != OPEN or self._unsent_bytes >= SLOW_AFTER_BYTES:
            return False
        frame = event.frame
        if self._unsent is None or self._unsent_bytes + len(frame) >= FLUSH_AT_BYTES:
            self._keep(frame)
        else:  # the usual case in a burst, without a call
            self._unsent.append(frame)
            self._unsent_bytes += len(frame)
        return True

    def post(self, frame: bytes) -> None:
        """Take a stock emit, for the next flush; a client that lets too many of them wait is cut off."""
        if self._state != OPEN:
            return
        if self._unsent_bytes > 2 * SLOW_AFTER_BYTES:
            self.cut_off("does not read its messages")
        else:
            self._keep(frame)

    def flush(self) -> None:
        """Send what was offered, as far as the kernel takes it."""
        if self._unsent is not None and not self._blocked:
            self._send_unsent()

    @property
    def has_room(self) -> bool:
        return self._state == OPEN and self._unsent_bytes < SLOW_AFTER_BYTES

    @property
    def buffered(self) -> int:
        """Bytes that wait for the client to read."""
        return self._unsent_bytes

    def cut_off(self, why: str) -> None:
        """Part with a client that does not read, without telling it."""
        if self._state != GONE:
            logger.warning("client %s %s, disconnected", self.sid, why)
            self._lose()

    def _keep(self, frame: bytes) -> None:
        if self._unsent is None:
            self._unsent = [frame]
            self._context.write_batch.add(self)
        else:
            self._unsent.append(frame)
        self._unsent_bytes += len(frame)
        if self._unsent_bytes >= FLUSH_AT_BYTES and not self._blocked:
            self._send_unsent()

    # The poller and the wheel.

    def ready(self, events: int) -> None:
        """Read or write what can be; from the poller's greenlet, so nothing here waits."""
        if events & OUT:
            self._send_unsent()
        if events & IN:
            self._read()
        elif events & (HUNG_UP | ERROR):
            self._lose()

    def give_up(self) -> None:
        """After an error of our own."""
        self._lose()

    def tick(self, now: float) -> float | None:
        """Ping, or part with a client that did not answer the last one."""
        if self._state != OPEN:
            return self._end_lingering(now)
        engine_io = self._context.engine
        if self._awaits_pong:
            logger.info("client %s did not answer a ping", self.sid)
            self._write(_CLOSE)
            self._shut(frames.NORMAL)
            self._later_disconnect(engine_io.reason.PING_TIMEOUT)
            return None
        since = now - self.last_ping if self.last_ping else engine_io.ping_interval
        if since < engine_io.ping_interval:
            return float(engine_io.ping_interval - since)
        self._awaits_pong = True
        self.last_ping = now
        self._write(_PING)
        return float(engine_io.ping_timeout)

    def _end_lingering(self, now: float) -> float | None:
        if self._state != GONE and self.last_ping is not None and now < self.last_ping + LINGER_SECONDS:
            return LINGER_SECONDS
        self._drop()
        return None

    # Reading.

    def go_on(self, inbound: Inbound, messages: Iterator[Message], paid_until: float) -> None:
        """Take over from an upgrade, in the middle of what it was reading."""
        self._inbound, self._paid_until = inbound, paid_until
        self._take(messages)

    def _read(self) -> None:
        try:
            data = self.tcp.recv(READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data:
            self._lose()
        elif self._state == OPEN:
            if self._inbound is None:
                self._inbound = Inbound(self._context.engine.max_http_buffer_size)
            inbound, before = self._inbound, self._inbound.frames
            self._take(inbound.feed(data))
            self._charge(max(1, inbound.frames - before), len(data))

    def _charge(self, count: int, size: int) -> None:
        """Count what was read, of whatever kind it was."""
        now = self._context.timers.now()
        try:
            self._paid_until = self._context.budget.charge(self._paid_until, now, count, size)
        except BudgetSpent as error:
            if self._state == OPEN:
                audit.note("limit", self._context.environs.get(self.sid), sid=self.sid, code="rate-limited")
                self._refuse(frames.POLICY, str(error))

    def _take(self, messages: Iterator[Message]) -> None:
        try:
            for message in messages:
                self._handle(message)
                if self._state != OPEN:
                    return
        except BadFrame as error:
            self._refuse(error.code, str(error))
            return
        if self._inbound is not None and self._inbound.is_clean:
            self._inbound = None

    def _handle(self, message: Message) -> None:
        if isinstance(message, Ping):
            self._answer(frames.pong_frame(message))
        elif isinstance(message, Close):
            self._shut(frames.NORMAL)
            self._later_disconnect(self.server.reason.TRANSPORT_CLOSE)
        elif message == "3":
            self._awaits_pong = False
        else:
            self._put_off(message)

    def _refuse(self, code: int, why: str) -> None:
        logger.info("client %s is closed: %s", self.sid, why)
        self._shut(code)
        self._later_disconnect(self.server.reason.TRANSPORT_ERROR)

    # Handling what was read, in order.

    def _put_off(self, item: object) -> None:
        if self._backlog is None:
            self._backlog = deque((item,))
            self._context.scheduler.slow(self._work)
        else:
            self._backlog.append(item)
            if len(self._backlog) == BACKLOG_MESSAGES:
                self._watch()

    def _work(self) -> None:
        """Handle a few, and the rest when it is our turn again."""
        for _ in range(MESSAGES_PER_TURN):
            if not self._backlog:
                break
            self._dispatch(self._backlog.popleft())
            if len(self._backlog) == BACKLOG_MESSAGES - 1:
                self._watch()
        if self._backlog:
            self._context.scheduler.slow(self._work)
        else:
            self._backlog = None

    def _dispatch(self, item: Any) -> None:
        if self.closing:
            return  # nothing is heard of a client that has been taken leave of
        if isinstance(item, _Farewell):
            self._tell_disconnect(item.reason)
            return
        try:
            packet = decoded(item)
        except BadPacket as error:
            self._end(frames.PROTOCOL_ERROR, str(error))
            return
        if packet.packet_type == engine.MESSAGE:
            self.server._trigger_event("message", self.sid, packet.data, run_async=False)
        elif packet.packet_type == engine.CLOSE:
            self._shut(frames.NORMAL)
            self._tell_disconnect(self.server.reason.CLIENT_DISCONNECT)

    def _end(self, code: int, why: str) -> None:
        """Refuse what is being handled; what came after it does not count."""
        logger.info("client %s is closed: %s", self.sid, why)
        self._shut(code)
        self._tell_disconnect(self.server.reason.TRANSPORT_ERROR)

    def _later_disconnect(self, reason: str) -> None:
        if not self.closing:
            self._put_off(_Farewell(reason))

    def _tell_disconnect(self, reason: str) -> None:
        """Run the disconnect handlers, once, after all that came before."""
        if self.closing:
            return
        self.closing = True
        self.server._trigger_event("disconnect", self.sid, reason, run_async=False)
        self.closed = True
        self.server.sockets.pop(self.sid, None)

    # Writing.

    def _answer(self, frame: bytes) -> None:
        if self._unsent_bytes > 2 * SLOW_AFTER_BYTES:
            self.cut_off("does not read its messages")
        else:
            self._write(frame)

    def _write(self, frame: bytes) -> None:
        """Send now, or after what waits already."""
        if self._unsent is None:
            self._unsent = [frame]
            self._unsent_bytes = len(frame)
            self._send_unsent()
        else:
            self._unsent.append(frame)
            self._unsent_bytes += len(frame)

    def _send_unsent(self) -> None:
        """Send all that waits in one go; what the kernel does not take goes on waiting, for it."""
        unsent = self._unsent
        if unsent is None:
            return
        data = unsent[0] if len(unsent) == 1 else b"".join(unsent)
        try:
            sent = self.tcp.send(data)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError:
            self._lose()
            return
        self._unsent_bytes = len(data) - sent
        self._unsent = [data[sent:]] if self._unsent_bytes else None
        self._settle(blocked=self._unsent is not None)

    def _settle(self, *, blocked: bool) -> None:
        if blocked != self._blocked:
            self._blocked = blocked
            self._watch()
        if not blocked and self._state == CLOSING:
            self._shut_writing()

    # Ending.

    def _shut(self, code: int) -> None:
        """Say goodbye, let what waits go out, and read nothing more."""
        if self._state != OPEN:
            return
        self._write(frames.close_frame(code))
        if self._state != OPEN:  # lost while writing
            return
        self._state = CLOSING
        self._inbound = None
        self.last_ping = self._context.timers.now()
        self._context.timers.add(self, LINGER_SECONDS)
        if self._unsent is None:
            self._shut_writing()
        elif not self._blocked:
            self._send_unsent()

    def _shut_writing(self) -> None:
        self._state = LINGERING
        try:
            self.tcp.shutdown(socket.SHUT_WR)
        except OSError:
            self._drop()
        else:
            self._watch()

    def _lose(self) -> None:
        """The connection is no more; the handlers hear of it in turn."""
        self._drop()
        self._later_disconnect(self.server.reason.TRANSPORT_CLOSE)

    def _drop(self) -> None:
        if self._state == GONE:
            return
        self._state = GONE
        self._unsent = self._inbound = None
        self._unsent_bytes = 0
        self._context.poller.forget(self._fd)
        self.tcp.close()

    def _watch(self) -> None:
        """Have the poller look for what we can use now."""
        if self._state == GONE:
            return
        is_full = self._backlog is not None and len(self._backlog) >= BACKLOG_MESSAGES
        events = (0 if is_full else IN) | (OUT if self._blocked else 0)
        self._context.poller.change(self._fd, events)


class _Farewell:
    """The last item of a client's backlog."""

    __slots__ = ("reason",)

    def __init__(self, reason: str) -> None:
        self.reason = reason
