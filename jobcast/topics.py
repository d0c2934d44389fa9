"""A topic is a namespace, a room and an event name: one job, one user's inbox, one brand's analytics."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, unquote

from jobcast.errors import InvalidPayload

#: Characters of the longest id.
LONGEST_ID: Final = 256
#: Whatever Celery takes as an id, for JSON Schema and pydantic, which know no lone surrogates.
ID_PATTERN: Final = rf"^[^\x00-\x1f\x7f-\x9f]{{1,{LONGEST_ID}}}$"
_ID: Final = re.compile(rf"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]{{1,{LONGEST_ID}}}")
#: Ids that are in the names of rooms, keys and channels as they are.
_PLAIN: Final = re.compile(r"[A-Za-z0-9._~-]*")


@dataclass(frozen=True, slots=True)
class Kind:
    """What all topics of one kind share; the table in the wire contract, section 1."""

    name: str
    namespace: str
    event: str
    id_field: str


JOB: Final = Kind("job", "/jobs", "job:status-changed", "jobId")
USER: Final = Kind("user", "/notifications", "notification:received", "userId")
BRAND: Final = Kind("brand", "/analytics", "analytics:sync-progress", "brandId")
KINDS: Final = {kind.name: kind for kind in (JOB, USER, BRAND)}

# Two more events of the notifications namespace; the rest have one event each.
NOTIFICATION_READ: Final = "notification:read"
NOTIFICATIONS_CLEARED: Final = "notifications:cleared"


def valid_id(value: object) -> str:
    """Return ``value`` if it can name a job, user or brand; raise InvalidPayload otherwise."""
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise InvalidPayload(f"an id is 1 to {LONGEST_ID} characters, none of them a control character")
    return value


def escaped(topic_id: str) -> str:
    """The id as rooms, keys and channels are named: percent-encoded but for ``A-Z a-z 0-9 . _ ~ -``."""
    return topic_id if _PLAIN.fullmatch(topic_id) else quote(topic_id, safe="")


@dataclass(frozen=True, slots=True)
class Topic:
    """One place to subscribe to. Make it with ``job_topic``, ``user_topic`` or ``brand_topic``."""

    kind: Kind
    id: str

    @property
    def room(self) -> str:
        """The Socket.IO room, never empty: an empty room would reach the whole namespace."""
        return f"{self.kind.name}:{escaped(self.id)}"

    @property
    def namespace(self) -> str:
        return self.kind.namespace

    @property
    def event(self) -> str:
        return self.kind.event

    @classmethod
    def parse(cls, room: str) -> Topic:
        """The topic behind a room name such as ``job:42``; raise InvalidPayload for anything else."""
        name, _, given = room.partition(":")
        if name not in KINDS:
            raise InvalidPayload(f"no topic is called {name!r}")
        topic = cls(KINDS[name], valid_id(_unescaped(given)))
        if topic.room != room:
            raise InvalidPayload(f"the room of this topic is called {topic.room}")
        return topic


def named_topic(text: str) -> Topic:
    """The topic that an issuer means by ``job:42``: by its room, or else by its id as it is.

    A text means one topic at most, so that nobody is granted another one; raises InvalidPayload for none.
    """
    try:
        return Topic.parse(text)
    except InvalidPayload:
        name, _, given = text.partition(":")
        if name not in KINDS:
            raise
        return Topic(KINDS[name], valid_id(given))


def is_topic(room: str) -> bool:
    """Whether ``Topic.parse`` knows the room."""
    try:
        Topic.parse(room)
    except InvalidPayload:
        return False
    return True


def _unescaped(text: str) -> str:
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError as error:
        raise InvalidPayload("no UTF-8 is escaped here") from error


def job_topic(job_id: str) -> Topic:
    """The progress of one job."""
    return Topic(JOB, valid_id(job_id))


def user_topic(user_id: str) -> Topic:
    """One user's inbox of notifications."""
    return Topic(USER, valid_id(user_id))


def brand_topic(brand_id: str) -> Topic:
    """The analytics events of one brand."""
    return Topic(BRAND, valid_id(brand_id))
