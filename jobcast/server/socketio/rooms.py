"""Socket.IO's book of rooms, without a room for every client and without one for every topic.

The stock book gives each client a room of its own, kept in two dictionaries, and walks through all rooms of
a namespace when one client leaves. Here a client's own room is its id, a topic's room is looked up in the
subscriptions, and only rooms that somebody else entered a client into are kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import socketio

from jobcast.server.delivery.subscriptions import Subscriptions


class Rooms(socketio.PubSubManager):  # type: ignore[misc]  # untyped library
    """A manager whose rooms are looked up; ``subscriptions`` says who follows which topic."""

    def __init__(self, subscriptions: Subscriptions, channel: str) -> None:
        super().__init__(channel=channel)
        self._subscriptions = subscriptions
        self._entered: dict[str, set[str]] = {}

    def basic_enter_room(
        self, sid: str, namespace: str, room: str | None, eio_sid: str | None = None
    ) -> None:
        if room == sid:
            return
        super().basic_enter_room(sid, namespace, room, eio_sid=eio_sid)
        if room is not None:
            self._entered.setdefault(sid, set()).add(room)

    def basic_leave_room(self, sid: str, namespace: str, room: str | None) -> None:
        super().basic_leave_room(sid, namespace, room)
        self._entered.get(sid, set()).discard(room or "")

    def basic_disconnect(self, sid: str, namespace: str, **kwargs: Any) -> None:
        for room in self._entered.pop(sid, ()):
            super().basic_leave_room(sid, namespace, room)
        super().basic_leave_room(sid, namespace, None)
        self.callbacks.pop(sid, None)
        for pending in (self.pending_connect, self.pending_disconnect):
            _take_out(pending, namespace, sid)

    def get_participants(self, namespace: str, room: Any) -> Iterator[tuple[str, str]]:
        if room is None:
            yield from super().get_participants(namespace, None)
            return
        found: dict[str, str] = {}
        for name in room if isinstance(room, list | tuple | set) else [room]:
            found.update(self._members(namespace, name))
        yield from found.items()

    def get_rooms(self, sid: str, namespace: str) -> list[str]:
        if not self.is_sid_room(namespace, sid):
            return []
        found = {sid: None} | dict.fromkeys(self._subscriptions.rooms_of(sid))
        return list(found | dict.fromkeys(self._entered.get(sid, ())))

    def members(self, namespace: str, room: Any) -> list[str]:
        """The Engine.IO ids of those in a room; the short way for the room of a topic."""
        if isinstance(room, str) and self._subscriptions.has_followers(room):
            followers = self._subscriptions.of_room(room)
            if room not in self.rooms.get(namespace, ()) and followers[0].topic.namespace == namespace:
                return [follower.transport.eio_sid for follower in followers]
        return [eio_sid for _, eio_sid in self.get_participants(namespace, room)]

    def _members(self, namespace: str, room: Any) -> Iterable[tuple[str, str]]:
        if eio_sid := self.eio_sid_from_sid(room, namespace):
            return [(room, eio_sid)]
        followers = [
            (follower.sid, self.eio_sid_from_sid(follower.sid, namespace))
            for follower in self._subscriptions.of_room(room)
            if follower.topic.namespace == namespace
        ]
        present = [(sid, eio_sid) for sid, eio_sid in followers if eio_sid]
        return [*present, *super().get_participants(namespace, room)]


def _take_out(pending: dict[str, list[str]], namespace: str, sid: str) -> None:
    waiting = pending.get(namespace)
    if waiting and sid in waiting:
        waiting.remove(sid)
        if not waiting:
            del pending[namespace]
