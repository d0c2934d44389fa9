"""Whether the client event that is being handled asked for an acknowledgement.

A refusal goes into the ack when there is one, and is emitted otherwise. python-socketio does not tell its
handlers, so this notes it on the way in, around the one method every client event passes.
"""

from __future__ import annotations

import functools
from contextvars import ContextVar
from typing import Any

import socketio

_asked: ContextVar[bool] = ContextVar("ack_asked", default=False)


def note_acks(server: socketio.Server) -> None:
    """Have ``ack_was_asked`` tell about the events of this server."""
    handle = server._handle_event_internal

    @functools.wraps(handle)
    def noting(server: Any, sid: str, eio_sid: str, data: Any, namespace: str, id: int | None) -> None:
        _asked.set(id is not None)
        handle(server, sid, eio_sid, data, namespace, id)

    server._handle_event_internal = noting


def keep_order(server: socketio.Server, namespaces: frozenset[str]) -> None:
    """Handle the events of these namespaces one after another: unsubscribe may not overtake subscribe.

    A server with ``async_handlers``, the default of an application's own, gives each event a thread.
    """
    handle = server._handle_event

    @functools.wraps(handle)
    def in_order(eio_sid: str, namespace: str | None, id: int | None, data: Any) -> None:
        if namespace not in namespaces:
            handle(eio_sid, namespace, id, data)
            return
        sid = server.manager.sid_from_eio_sid(eio_sid, namespace)
        if server.manager.is_connected(sid, namespace):
            server._handle_event_internal(server, sid, eio_sid, data, namespace, id)

    if server.async_handlers:
        server._handle_event = in_order


def ack_was_asked() -> bool:
    """Whether the client waits for an answer to the event being handled."""
    return _asked.get()
