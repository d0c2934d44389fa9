"""A topic is a namespace, a room and an event name: one job, one user's inbox, one brand's analytics."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from jobcast.errors import InvalidPayload

ID_PATTERN: Final = r"^[A-Za-z0-9._~-]{1,128}$"
_ID = re.compile(ID_PATTERN + r"\Z")


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
    if not isinstance(value, str) or not _ID.match(value):
        raise InvalidPayload("an id is 1 to 128 characters out of A-Z a-z 0-9 . _ ~ -")
    return value


@dataclass(frozen=True, slots=True)
class Topic:
    """One place to subscribe to. Make it with ``job_topic``, ``user_topic`` or ``brand_topic``."""

    kind: Kind
    id: str

    @property
    def room(self) -> str:
        """The Socket.IO room, never empty: an empty room would reach the whole namespace."""
        return f"{self.kind.name}:{self.id}"

    @property
    def namespace(self) -> str:
        return self.kind.namespace

    @property
    def event(self) -> str:
        return self.kind.event

    @classmethod
    def parse(cls, room: str) -> Topic:
        """The topic behind a room name such as ``job:42``; raise InvalidPayload for anything else."""
        name, _, topic_id = room.partition(":")
        if name not in KINDS:
            raise InvalidPayload(f"no topic is called {name!r}")
        return cls(KINDS[name], valid_id(topic_id))


def is_topic(room: str) -> bool:
    """Whether ``Topic.parse`` knows the room."""
    name, _, topic_id = room.partition(":")
    return name in KINDS and _ID.match(topic_id) is not None


def job_topic(job_id: str) -> Topic:
    """The progress of one job."""
    return Topic(JOB, valid_id(job_id))


def user_topic(user_id: str) -> Topic:
    """One user's inbox of notifications."""
    return Topic(USER, valid_id(user_id))


def brand_topic(brand_id: str) -> Topic:
    """The analytics events of one brand."""
    return Topic(BRAND, valid_id(brand_id))
