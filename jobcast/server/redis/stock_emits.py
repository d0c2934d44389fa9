"""What may come from the Redis channel by way of a stock emit. Anybody who reaches Redis can write there.

Our own envelopes do not pass here: their shape is checked where they are cut, and the ledger wrote them.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
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

_TOPIC_NAMESPACES: Final = frozenset(kind.namespace for kind in KINDS.values())
_OPEN_NAMESPACES: Final = frozenset({"/", "/default"})
#: Names that mean something else to the clients' libraries.
_RESERVED: Final = frozenset({"connect", "connect_error", "disconnect", "disconnecting", "newListener"})


def accept(message: str | bytes) -> dict[str, Any] | None:
    """The decoded ``emit`` that this message is; None, and a line in the log, for anything else.

    Only ``emit`` is taken: the other methods of the protocol move clients between rooms or end their
    connections, and nobody of ours sends them.
    """
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
    if not isinstance(decoded, dict) or decoded.get("method") != "emit" or "data" not in decoded:
        raise InvalidPayload("no emit")
    check_emit(decoded)
    return decoded | {"callback": None}


def _refuse_constant(name: str) -> None:
    raise InvalidPayload(f"{name} is no JSON")


#: Made once: ``json.loads`` with an argument makes one for each message.
_DECODER: Final = json.JSONDecoder(parse_constant=_refuse_constant)


def check_emit(message: Mapping[str, Any]) -> None:
    """Raise InvalidPayload unless this decoded ``emit`` may reach clients.

    The namespace is one of ours, the event a short name, the data JSON alone. In a topic's namespace the room
    is a topic's, of that namespace's kind: never empty, and never the session of one client.
    """
    namespace = message.get("namespace") or "/"
    if message.get("binary"):
        raise InvalidPayload("attachments are not sent here")
    if not isinstance(namespace, str) or namespace not in _OPEN_NAMESPACES | _TOPIC_NAMESPACES:
        raise InvalidPayload("no such namespace")
    _check_event(message.get("event"))
    _check_skipped(message.get("skip_sid"))
    if namespace in _TOPIC_NAMESPACES:
        _check_room(message.get("room"), namespace)


def _check_event(event: object) -> None:
    if not isinstance(event, str) or not 0 < len(event) <= LONGEST_EVENT or not event.isprintable():
        raise InvalidPayload(f"an event is a name of at most {LONGEST_EVENT} characters")
    if event in _RESERVED:
        raise InvalidPayload("this event is the library's own")


def _check_skipped(skipped: object) -> None:
    many = skipped if isinstance(skipped, list) else [skipped]
    if len(many) > MOST_SKIPPED or not all(sid is None or isinstance(sid, str) for sid in many):
        raise InvalidPayload("skip_sid names a few clients")


def _check_room(room: object, namespace: str) -> None:
    rooms = room if isinstance(room, list) else [room]
    if not rooms:
        raise InvalidPayload("no room")
    for name in rooms:
        if not isinstance(name, str):
            raise InvalidPayload("a room is a text")
        if Topic.parse(name).namespace != namespace:
            raise InvalidPayload("a room of another namespace")
