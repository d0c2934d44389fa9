"""What travels: one frozen model per payload of the wire contract, section 2.

Attribute names are snake_case in Python and camelCase on the wire; the alias generator below is the
one place where that is decided. The TypeScript types are generated from these models.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    StrictBool,
    StringConstraints,
)
from pydantic.alias_generators import to_camel

from jobcast.topics import ID_PATTERN

#: A job, a user or a brand, by the name that its application has for it.
Id = Annotated[str, StringConstraints(pattern=ID_PATTERN)]
#: What is named here: a platform, a notification.
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._~-]{1,128}$")]
Percentage = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0)]
Finite = Annotated[float, Field(allow_inf_nan=False)]

JobStatus = Literal[
    "draft", "pending", "approved", "in_progress", "published", "completed", "failed", "cancelled"
]
TERMINAL_STATUSES: Final[frozenset[str]] = frozenset({"published", "completed", "failed", "cancelled"})
SUCCESS_STATUSES: Final[frozenset[str]] = frozenset({"published", "completed"})


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


Timestamp = Annotated[datetime, PlainSerializer(_rfc3339, return_type=str, when_used="json")]


def now() -> datetime:
    """The current moment in UTC."""
    return datetime.now(UTC)


class WireModel(BaseModel):
    """Base of everything that crosses a process boundary."""

    model_config = ConfigDict(
        frozen=True,
        alias_generator=to_camel,
        populate_by_name=True,
        extra="ignore",  # two releases share the channel during a deploy
        ser_json_inf_nan="null",
    )

    def wire(self) -> dict[str, Any]:
        """The payload as a JSON-ready dictionary; absent values are left out, never null."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True, fallback=str)


class JobStatusUpdate(WireModel):
    """The state of one job; every update is complete in itself, so the newest one is enough."""

    job_id: Id
    status: JobStatus
    progress: Percentage | None = Field(None, description="0 to 100; absent when the total is unknown")
    current_platform: str | None = None
    error: str | None = None
    details: dict[str, Any] | None = None
    timestamp: Timestamp = Field(default_factory=now)
    sequence: Count | None = Field(None, description="rises by one with every stored event of the topic")
    epoch: str | None = Field(None, description="changes when the store lost the topic")
    attempt: int | None = Field(None, ge=1, description="1, 2 … for retries and redeliveries")
    completed: int | Finite | None = None
    total: int | Finite | None = None
    description: str | None = None
    eta_seconds: float | None = Field(None, ge=0, allow_inf_nan=False)
    stalled: bool | None = Field(None, description="the worker missed a lease and may be gone")
    request_id: str | None = Field(
        None, description="the HTTP request that began the job; on changes of its status, not on progress"
    )
    error_type: str | None = Field(None, description="the type of the exception that ``error`` is about")
    cancel_requested: bool | None = Field(
        None, description="somebody asked for the job to stop; until it has ended"
    )
    busy: bool | None = Field(None, description="its process lives but cannot report: it is busy")
    log: list[str] | None = Field(None, description="the last lines the job has written, oldest first")
    result: dict[str, Any] | None = Field(None, description="what the job has made; with its end")

    @property
    def is_terminal(self) -> bool:
        """Whether this is the last word on its attempt."""
        return self.status in TERMINAL_STATUSES


NotificationType = Literal[
    "job-completed", "job-failed", "approval-needed", "insight-available", "sync-complete", "alert"
]
Severity = Literal["info", "warning", "error", "success"]


def _openable(value: str) -> str:
    """A path of the page's own site, or an address that a browser only opens: no ``javascript:``."""
    if not _OPENABLE.match(value) or any(ord(letter) < 0x21 for letter in value):
        raise ValueError(
            "an actionUrl is a path that begins with one /, or begins with https:, http: or mailto:"
        )
    return value


#: Where a notification leads.
ActionUrl = Annotated[str, AfterValidator(_openable)]
_OPENABLE: Final = re.compile(r"(/(?![/\\])|https?://|mailto:|[?#])", re.IGNORECASE)


class Notification(WireModel):
    """One entry of a user's inbox; ``id`` makes it arrive once however often it is sent."""

    id: Name
    type: NotificationType
    title: str
    message: str
    severity: Severity
    brand_id: str | None = None
    action_url: ActionUrl | None = None
    timestamp: Timestamp = Field(default_factory=now)
    read: bool | None = None
    sequence: Count | None = None
    epoch: str | None = None


AnalyticsEventType = Literal[
    "analytics:sync-started",
    "analytics:sync-progress",
    "analytics:sync-completed",
    "analytics:insights-generated",
    "analytics:forecast-ready",
]


class AnalyticsData(WireModel):
    """Where one platform's sync stands."""

    platform: str
    progress: Percentage
    records_processed: Count
    total_records: Count | None = None
    current_metric: str | None = None
    timestamp: Timestamp = Field(default_factory=now)


class AnalyticsEvent(WireModel):
    """An event of a brand's analytics; all five types travel as ``analytics:sync-progress``."""

    sync_id: Id
    event_type: AnalyticsEventType
    data: AnalyticsData
    sequence: Count | None = None
    epoch: str | None = None


class NotificationsRead(WireModel):
    """Some tab or device read these notifications."""

    ids: list[str]
    unread_count: Count
    sequence: Count | None = None
    epoch: str | None = None


class NotificationsCleared(WireModel):
    """Some tab or device emptied the inbox."""

    sequence: Count | None = None
    epoch: str | None = None


class ServerHello(WireModel):
    """What the server says first on the default namespace."""

    version: str
    debounce_ms: Count
    reconnection_delay: Count
    reconnection_delay_max: Count


class ServerConfig(ServerHello):
    """``GET /api/config``."""

    polling_interval: Count


class ServerRestarting(WireModel):
    """The server is about to stop; come back after this many milliseconds."""

    retry_after_ms: Count


class Subscribed(WireModel):
    """The answer to a subscribe event; carries exactly one of the three ids."""

    job_id: str | None = None
    user_id: str | None = None
    brand_id: str | None = None
    sequence: Count
    epoch: str | None = None
    recovered: bool


ErrorCode = Literal[
    "invalid-payload",
    "unauthenticated",
    "forbidden",
    "not-found",
    "rate-limited",
    "too-many-subscriptions",
    "unavailable",
]


class ErrorDetail(WireModel):
    """A refusal, as acks and ``subscription-error`` carry it."""

    code: ErrorCode
    message: str
    retry_after_ms: int | None = Field(None, ge=0, description="milliseconds until the same may be granted")


class NotificationsPage(WireModel):
    """``GET /api/notifications/{userId}``, newest last."""

    notifications: list[Notification]
    unread_count: Count
    sequence: Count
    epoch: str | None = None


class AnalyticsPage(WireModel):
    """``GET /api/analytics/{brandId}``."""

    current_progress: AnalyticsData | None = None
    events: list[AnalyticsEvent]
    sequence: Count
    epoch: str | None = None


class JobsPage(WireModel):
    """``GET /api/jobs?brandId=``, newest first."""

    jobs: list[JobStatusUpdate]


class JobHistory(WireModel):
    """``GET /api/jobs/{jobId}/history``, oldest first."""

    events: list[JobStatusUpdate]
    sequence: Count
    epoch: str | None = None


#: A path inside the media folder, or the http(s) URL of a picture or video.
MediaName = Annotated[str, StringConstraints(min_length=1, max_length=2_048)]


class Post(WireModel):
    """One post of a publish request."""

    model_config = ConfigDict(extra="forbid", populate_by_name=False)

    content: str = Field(min_length=1, max_length=10_000)
    media: list[MediaName] = Field(default_factory=list, max_length=20)
    platforms: list[Name] = Field(default_factory=lambda: ["local"], min_length=1, max_length=20)


class PublishRequest(WireModel):
    """The body of ``POST /api/jobs/publish``."""

    model_config = ConfigDict(extra="forbid", populate_by_name=False)

    brand_id: Id
    user_id: Id
    posts: list[Post] = Field(min_length=1, max_length=1_000)
    requires_approval: StrictBool = False


class SyncAccepted(WireModel):
    """The answer to ``POST /api/analytics/{brandId}/sync``."""

    job_id: str
    sync_id: str


class SyncRequest(WireModel):
    """The JSON body of ``POST /api/analytics/{brandId}/sync``; ``export`` is CSV text."""

    model_config = ConfigDict(extra="forbid", populate_by_name=False)

    platform: Name
    user_id: Id
    export: str


class ReadRequest(WireModel):
    """The body of ``POST /api/notifications/{userId}/read``: some ids, or all."""

    model_config = ConfigDict(extra="forbid", populate_by_name=False)

    ids: Annotated[list[Name], Field(max_length=1_000)] | None = None
    all: Literal[True] | None = None


class UnreadCount(WireModel):
    """How many notifications stay unread."""

    unread_count: Count


class Problem(WireModel):
    """An error of the HTTP routes (RFC 9457)."""

    type: str
    title: str
    status: int
    code: ErrorCode
    detail: str
