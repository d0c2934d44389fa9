"""The message on the Redis channel: python-socketio's own ``emit`` envelope with its keys in one order.

Any stock Flask-SocketIO server can read it. Because the order is fixed, a listener that knows it can
cut room and payload out of the bytes without decoding them (wire contract, section 4). ``merge`` is the
one key we add: true when a newer update of the same room makes this one unnecessary.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from jobcast.position import Position
from jobcast.topics import Topic

HOST_ID: Final = "jobcast"
#: How a message begins that only shows that the channel works.
PROOF: Final = b'{"method":"proof"'

_OPENING: Final = f'{{"method":"emit","host_id":"{HOST_ID}","namespace":"'
_ROOM: Final = '","room":"'
_EVENT: Final = '","event":"'
_FLAGS: Final = '","binary":false,"skip_sid":null,"callback":null,"merge":'
_DATA: Final = ',"data":['
_CLOSING: Final = "]}"

#: At most 18 digits: what is longer is no sequence of ours, and slow to read.
_POSITION: Final = rb'\{"sequence":(\d{1,18}),"epoch":"([^"\\]*)"'
_POSITIONED: Final = re.compile(_POSITION)
_ENVELOPE: Final = re.compile(
    re.escape(_OPENING.encode())
    + rb'([^"\\]*)'
    + re.escape(_ROOM.encode())
    + rb'([^"\\]*)'
    + re.escape(_EVENT.encode())
    + rb'([^"\\]*)'
    + re.escape(_FLAGS.encode())
    + rb"(true|false)"
    + re.escape(_DATA.encode())
    + b"("
    + _POSITION
    + rb".*)"
    + re.escape(_CLOSING.encode()),
    re.DOTALL,
)


class Cut(NamedTuple):
    """One of our envelopes, cut apart; bytes are UTF-8, ``payload`` is JSON that begins with its position."""

    namespace: bytes
    room: str
    event: bytes
    merge: bool
    payload: bytes
    sequence: int
    epoch: str


def channel_of(topic: Topic, channel: str, *, per_topic: bool) -> str:
    """The Redis channel a topic's events travel on; the braces keep it where the topic's keys are."""
    return f"{channel}#{{{topic.room}}}" if per_topic else channel


def head(topic: Topic, event: str) -> str:
    """The envelope up to the value of ``merge``; the ledger adds the rest as it stores the event."""
    return f"{_OPENING}{topic.namespace}{_ROOM}{topic.room}{_EVENT}{event}{_FLAGS}"


def seal(envelope_head: str, merge: bool, payload: str) -> str:
    """The whole envelope; ``ledger.lua`` does the same inside Redis."""
    return f"{envelope_head}{'true' if merge else 'false'}{_DATA}{payload}{_CLOSING}"


def proof(name: str) -> str:
    """A message that nobody acts on; stock servers pass over a method they do not know."""
    return f'{PROOF.decode()},"name":"{name}"}}'


def cut(message: bytes) -> Cut | None:
    """The parts of one of our own envelopes, or None for anybody else's."""
    found = _ENVELOPE.fullmatch(message)
    if found is None or not _is_utf8(message):
        return None
    namespace, room, event, merge, payload, sequence, epoch = found.groups()
    return Cut(namespace, room.decode(), event, merge == b"true", payload, int(sequence), epoch.decode())


def position(payload: bytes) -> Position | None:
    """The position at the start of a payload that the ledger stored, or None."""
    found = _POSITIONED.match(payload)
    return Position(int(found[1]), found[2].decode()) if found else None


def _is_utf8(message: bytes) -> bool:
    if message.isascii():
        return True
    try:
        message.decode()
    except UnicodeDecodeError:
        return False
    return True
