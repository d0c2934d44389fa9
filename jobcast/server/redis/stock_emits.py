"""What may come from the Redis channel by way of stock Socket.IO. Anybody who reaches Redis can write there.

A process with ``flask_socketio.SocketIO(message_queue=…)`` or ``socketio.RedisManager`` may emit, ask for an
answer, move clients between rooms and part with them, as with any other server. In the namespaces of topics
it may not move anybody: a room there is a topic, and following one is granted by authorisation alone.

Our own envelopes do not pass here: their shape is checked where they are cut, and the ledger wrote them.
"""

from __future__ import annotations

import base64
import json
import logging
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from jobcast.errors import InvalidPayload
from jobcast.topics import KINDS, Topic

logger = logging.getLogger(__name__)

#: Characters of the longest event name.
LONGEST_EVENT: Final = 64
#: Characters of the largest envelope, as it came: sixteen times the largest payload of our own.
LARGEST_MESSAGE: Final = 256 * 1024
#: Clients one envelope may leave out.
MOST_SKIPPED: Final = 16
#: Attachments of one event, as many as a client may send.
MOST_ATTACHMENTS: Final = 10
#: Characters of the longest name of a namespace, a room, a client or a process.
LONGEST_NAME: Final = 256

_TOPIC_NAMESPACES: Final = frozenset(kind.namespace for kind in KINDS.values())
#: A client's id as Engine.IO makes them; no topic's room looks so.
_SID: Final = re.compile(r"[A-Za-z0-9_-]{20}")
#: Names that mean something else to the clients' libraries.
_RESERVED: Final = frozenset({"connect", "connect_error", "disconnect", "disconnecting", "newListener"})


def accept(message: str | bytes) -> dict[str, Any] | None:
    """The decoded message of stock Socket.IO that this is; None, and a line in the log, for anything else."""
    try:
        return _parsed(message)
    except InvalidPayload as refused:
        logger.warning("a message of the channel was dropped: %s", refused)
        return None


def _parsed(message: str | bytes) -> dict[str, Any]:
    if len(message) > LARGEST_MESSAGE:
        raise InvalidPayload(f"an envelope has at most {LARGEST_MESSAGE} characters")
    try:
        decoded = _DECODER.decode(message if isinstance(message, str) else message.decode())
    except (ValueError, RecursionError) as error:
        raise InvalidPayload("no JSON") from error
    method = decoded.get("method") if isinstance(decoded, dict) else None
    if not isinstance(method, str) or method not in _CHECKS:
        raise InvalidPayload("no message of Socket.IO")
    _check_name(decoded.get("host_id", ""), "a process")
    _CHECKS[method](decoded)
    return dict(decoded)


def _refuse_constant(name: str) -> None:
    raise InvalidPayload(f"{name} is no JSON")


#: Made once: ``json.loads`` with an argument makes one for each message.
_DECODER: Final = json.JSONDecoder(parse_constant=_refuse_constant)


def check_emit(message: Mapping[str, Any]) -> None:
    """Raise InvalidPayload unless this decoded ``emit`` may reach clients.

    The event is a short name, the data JSON, with attachments in base64 beside it. In a topic's namespace the
    room is a topic's, of that namespace's kind, or one client: never empty.
    """
    namespace = _namespace(message)
    if "data" not in message:
        raise InvalidPayload("no data")
    if message.get("binary"):
        _check_attachments(message["data"])
    _check_event(message.get("event"))
    _check_skipped(message.get("skip_sid"))
    _check_callback(message.get("callback"))
    _check_rooms(message.get("room"), namespace)


def _check_move(message: Mapping[str, Any]) -> None:
    """Of one client into a room or out of it."""
    _check_client(message)
    _check_close(message)


def _check_close(message: Mapping[str, Any]) -> None:
    """Of a room, for everybody in it."""
    if _namespace(message) in _TOPIC_NAMESPACES:
        raise InvalidPayload("nobody is moved between the rooms of topics")
    _check_room(message.get("room"))


def _check_client(message: Mapping[str, Any]) -> None:
    _namespace(message)
    _check_name(message.get("sid"), "a client")


def _check_answer(message: Mapping[str, Any]) -> None:
    """Of a client to an event that this process or another one sent it."""
    _check_client(message)
    if not _is_number(message.get("id")) or message["id"] < 1 or not isinstance(message.get("args"), list):
        raise InvalidPayload("no answer")


#: The methods that are taken.
_CHECKS: Final[dict[str, Callable[[Mapping[str, Any]], None]]] = {
    "emit": check_emit,
    "callback": _check_answer,
    "disconnect": _check_client,
    "enter_room": _check_move,
    "leave_room": _check_move,
    "close_room": _check_close,
}


def _namespace(message: Mapping[str, Any]) -> str:
    namespace = message.get("namespace") or "/"
    _check_name(namespace, "a namespace")
    if not namespace.startswith("/"):
        raise InvalidPayload("a namespace starts with /")
    return str(namespace)


def _check_name(name: object, of_what: str) -> None:
    if not isinstance(name, str) or len(name) > LONGEST_NAME:
        raise InvalidPayload(f"{of_what} is a text of at most {LONGEST_NAME} characters")


def _check_event(event: object) -> None:
    if not isinstance(event, str) or not 0 < len(event) <= LONGEST_EVENT or not event.isprintable():
        raise InvalidPayload(f"an event is a name of at most {LONGEST_EVENT} characters")
    if event in _RESERVED:
        raise InvalidPayload("this event is the library's own")


def _check_skipped(skipped: object) -> None:
    many = skipped if isinstance(skipped, list) else [skipped]
    if len(many) > MOST_SKIPPED or not all(sid is None or isinstance(sid, str) for sid in many):
        raise InvalidPayload("skip_sid names a few clients")


def _check_callback(callback: object) -> None:
    """Where an answer goes: the room, the namespace and the number of the one who waits."""
    if callback is None:
        return
    if not isinstance(callback, list) or len(callback) != 3 or not _is_number(callback[2]):
        raise InvalidPayload("no callback")
    for name in callback[:2]:
        _check_name(name, "a callback's room")


def _check_attachments(data: object) -> None:
    """An event's JSON with a place for each attachment, then the attachments."""
    if not isinstance(data, list) or not 2 <= len(data) <= MOST_ATTACHMENTS + 1:
        raise InvalidPayload(f"an event has at most {MOST_ATTACHMENTS} attachments")
    for attachment in data[1:]:
        try:
            base64.b64decode(attachment, validate=True)
        except (TypeError, ValueError) as error:
            raise InvalidPayload("an attachment is base64") from error
    if not all(0 <= place < len(data) - 1 for place in _places(data[0])):
        raise InvalidPayload("no such attachment")


def _places(data: Any) -> list[int]:
    """The numbers of the attachments that this JSON names."""
    if isinstance(data, dict):
        if data.get("_placeholder") and "num" in data:
            return [data["num"] if _is_number(data["num"]) else -1]
        data = list(data.values())
    return [place for value in data for place in _places(value)] if isinstance(data, list) else []


def _check_rooms(room: object, namespace: str) -> None:
    rooms = room if isinstance(room, list) else [room]
    if namespace not in _TOPIC_NAMESPACES:
        for name in rooms:
            if name is not None:
                _check_room(name)
        return
    if not rooms:
        raise InvalidPayload("no room")
    for name in rooms:
        _check_topic_or_client(name, namespace)


def _check_room(room: object) -> None:
    if not _is_number(room):
        _check_name(room, "a room")


def _check_topic_or_client(name: object, namespace: str) -> None:
    if not isinstance(name, str):
        raise InvalidPayload("a room is a text")
    if not _SID.fullmatch(name) and Topic.parse(name).namespace != namespace:
        raise InvalidPayload("a room of another namespace")


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
