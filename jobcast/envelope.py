"""The message on the Redis channel: python-socketio's own ``emit`` envelope with its keys in one order.

Any stock Flask-SocketIO server can read it. Because the order is fixed, a listener that knows it can
cut room and payload out of the bytes without decoding them (wire contract, section 4). ``merge`` is the
one key we add: true when a newer update of the same room makes this one unnecessary.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from jobcast.topics import Topic

HOST_ID: Final = "jobcast"

_OPENING: Final = f'{{"method":"emit","host_id":"{HOST_ID}","namespace":"'
_ROOM: Final = '","room":"'
_EVENT: Final = '","event":"'
_FLAGS: Final = '","binary":false,"skip_sid":null,"callback":null,"merge":'
_DATA: Final = ',"data":['
_CLOSING: Final = "]}"

_OPENING_BYTES: Final = _OPENING.encode()
_ROOM_BYTES: Final = _ROOM.encode()
_EVENT_BYTES: Final = _EVENT.encode()
_FLAGS_BYTES: Final = _FLAGS.encode()
_DATA_BYTES: Final = _DATA.encode()
_CLOSING_BYTES: Final = _CLOSING.encode()


class Cut(NamedTuple):
    """One of our envelopes, cut apart; bytes are UTF-8, ``payload`` is JSON."""

    namespace: bytes
    room: str
    event: bytes
    merge: bool
    payload: bytes


def channel_of(topic: Topic, channel: str, *, per_topic: bool) -> str:
    """The Redis channel a topic's events travel on; the braces keep it where the topic's keys are."""
    return f"{channel}#{{{topic.room}}}" if per_topic else channel


def head(topic: Topic, event: str) -> str:
    """The envelope up to the value of ``merge``; the ledger adds the rest as it stores the event."""
    return f"{_OPENING}{topic.namespace}{_ROOM}{topic.room}{_EVENT}{event}{_FLAGS}"


def seal(envelope_head: str, merge: bool, payload: str) -> str:
    """The whole envelope; ``ledger.lua`` does the same inside Redis."""
    return f"{envelope_head}{'true' if merge else 'false'}{_DATA}{payload}{_CLOSING}"


def room_of(message: bytes) -> str | None:
    """The room one of our own envelopes is for, before anything else of it is looked at; None otherwise."""
    if not message.startswith(_OPENING_BYTES) or not message.endswith(_CLOSING_BYTES):
        return None
    if not _is_utf8(message):
        return None
    _, at = _until(message, len(_OPENING_BYTES), _ROOM_BYTES)
    room, at = _until(message, at, _EVENT_BYTES)
    return room.decode() if at >= 0 else None


def _is_utf8(message: bytes) -> bool:
    if message.isascii():
        return True
    try:
        message.decode()
    except UnicodeDecodeError:
        return False
    return True


def cut(message: bytes) -> Cut | None:
    """The parts of an envelope that ``room_of`` knows, or None when it only looked like one of ours."""
    namespace, at = _until(message, len(_OPENING_BYTES), _ROOM_BYTES)
    room, at = _until(message, at, _EVENT_BYTES)
    event, at = _until(message, at, _FLAGS_BYTES)
    merge, at = _until(message, at, _DATA_BYTES)
    if at < 0 or merge not in (b"true", b"false") or b'"' in event:
        return None
    return Cut(namespace, room.decode(), event, merge == b"true", message[at : -len(_CLOSING_BYTES)])


def position(payload: bytes) -> tuple[int, str] | None:
    """Sequence and epoch at the start of a payload that the ledger stored, or None."""
    if not payload.startswith(b'{"sequence":'):
        return None
    sequence, at = _until(payload, len(b'{"sequence":'), b',"epoch":"')
    epoch, at = _until(payload, at, b'"')
    if at < 0 or not sequence.isdigit():
        return None
    return int(sequence), epoch.decode()


def _until(text: bytes, start: int, mark: bytes) -> tuple[bytes, int]:
    """The bytes from ``start`` to ``mark`` and where it goes on; (b"", -1) without the mark."""
    end = text.find(mark, start) if start >= 0 else -1
    if end < 0:
        return b"", -1
    return text[start:end], end + len(mark)
