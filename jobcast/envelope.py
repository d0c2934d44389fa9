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


class Cut(NamedTuple):
    """One of our envelopes, cut apart; ``payload`` is JSON."""

    namespace: str
    room: str
    event: str
    merge: bool
    payload: str


def head(topic: Topic, event: str) -> str:
    """The envelope up to the value of ``merge``; the ledger adds the rest as it stores the event."""
    return f"{_OPENING}{topic.namespace}{_ROOM}{topic.room}{_EVENT}{event}{_FLAGS}"


def seal(envelope_head: str, merge: bool, payload: str) -> str:
    """The whole envelope; ``ledger.lua`` does the same inside Redis."""
    return f"{envelope_head}{'true' if merge else 'false'}{_DATA}{payload}{_CLOSING}"


def cut(message: str) -> Cut | None:
    """The parts of one of our own envelopes, or None for anybody else's."""
    if not message.startswith(_OPENING) or not message.endswith(_CLOSING):
        return None
    namespace, at = _until(message, len(_OPENING), _ROOM)
    room, at = _until(message, at, _EVENT)
    event, at = _until(message, at, _FLAGS)
    merge, at = _until(message, at, _DATA)
    if at < 0 or merge not in ("true", "false"):
        return None
    return Cut(namespace, room, event, merge == "true", message[at : -len(_CLOSING)])


def position(payload: str) -> tuple[int, str] | None:
    """Sequence and epoch at the start of a payload that the ledger stored, or None."""
    if not payload.startswith('{"sequence":'):
        return None
    sequence, at = _until(payload, len('{"sequence":'), ',"epoch":"')
    epoch, at = _until(payload, at, '"')
    if at < 0 or not sequence.isdecimal():
        return None
    return int(sequence), epoch


def _until(text: str, start: int, mark: str) -> tuple[str, int]:
    """The text from ``start`` to ``mark`` and where it goes on; ("", -1) without the mark."""
    end = text.find(mark, start) if start >= 0 else -1
    if end < 0:
        return "", -1
    return text[start:end], end + len(mark)
