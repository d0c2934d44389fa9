"""Who comes in, and by which way: a Socket.IO WebSocket stays here, all else goes on to eventlet's server."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from typing import Any, Final

import eventlet
from eventlet.greenio import GreenSocket
from eventlet.hubs import notify_opened

from jobcast.server.websocket.context import ServerContext
from jobcast.server.websocket.epoll_events import EDGE, HALF_CLOSED, IN
from jobcast.server.websocket.pending import PendingConnection
from jobcast.server.websocket.pending_limit import PendingLimitReached

logger = logging.getLogger(__name__)

#: Connections accepted before anything else is looked at.
ACCEPT_AT_ONCE: Final = 16
#: Seconds to wait when there are no descriptors left.
NO_DESCRIPTORS_PAUSE: Final = 0.5


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
        pending = PendingConnection(self._context, tcp, known, name, self.pass_on)
        self._context.poller.watch(tcp.fileno(), pending, IN | HALF_CLOSED | EDGE)
        self._context.timers.add(pending, self._context.patience)
        pending.ready(IN)  # what it wants has often come together with it

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
