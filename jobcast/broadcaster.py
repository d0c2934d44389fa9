"""The guide's three functions, callable from any process: a worker, a script, a web request.

They hand the event to this process's reporter and return at once; they never raise because Redis is away.
"""

from __future__ import annotations

import atexit
import logging
import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final, TypeVar

from pydantic import ValidationError

from jobcast import plain
from jobcast.errors import InvalidPayload
from jobcast.job import Event
from jobcast.ledger.redis import RedisLedger
from jobcast.models import AnalyticsEvent, JobStatusUpdate, Notification, WireModel
from jobcast.ownership import current_owner
from jobcast.reporter import Reporter
from jobcast.settings import Settings
from jobcast.topics import brand_topic, job_topic, user_topic

logger = logging.getLogger(__name__)

Model = TypeVar("Model", bound=WireModel)
#: Jobs whose last status is remembered, to tell a change of status from mere progress.
REMEMBERED_JOBS: Final = 10_000


class Broadcaster:
    """Scheduler the three kinds of event into deliveries of one reporter."""

    def __init__(self, reporter: Reporter) -> None:
        self.reporter = reporter
        self._statuses: OrderedDict[str, str] = OrderedDict()

    def job_update(self, job_id: str, update: JobStatusUpdate | Mapping[str, Any]) -> None:
        """Progress is merged to the newest; a change of status goes out at once."""
        parsed = _parse(JobStatusUpdate, _plain(update), {"jobId": job_id})
        topic = job_topic(job_id)
        owner = current_owner()
        event = Event(topic, lambda ledger: ledger.append_job(parsed, meta=owner))
        self.reporter.post(event, (topic, "broadcast"), urgent=self._status_changes(parsed))

    def notification(self, user_id: str, notification: Notification | Mapping[str, Any]) -> None:
        """A notification is never merged away, and arrives once per id."""
        parsed = _parse(Notification, notification, {})
        event = Event(user_topic(user_id), lambda l: l.append_notification(user_id, parsed))  # noqa: E741
        self.reporter.post(event)

    def analytics_event(self, brand_id: str, event: AnalyticsEvent | Mapping[str, Any]) -> None:
        """Progress of one sync is merged to the newest; all other events are kept, in order."""
        parsed = _parse(AnalyticsEvent, event, {})
        topic = brand_topic(brand_id)
        delivery = Event(topic, lambda ledger: ledger.append_analytics(brand_id, parsed))
        is_progress = parsed.event_type == "analytics:sync-progress"
        self.reporter.post(delivery, (topic, parsed.sync_id) if is_progress else None)

    def _status_changes(self, update: JobStatusUpdate) -> bool:
        previous = self._statuses.pop(update.job_id, None)
        if not update.is_terminal:
            self._statuses[update.job_id] = update.status
        while len(self._statuses) > REMEMBERED_JOBS:
            self._statuses.popitem(last=False)
        return update.is_terminal or previous != update.status


class _Default:
    """This process's broadcaster, made from the environment when it is first needed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._broadcaster: Broadcaster | None = None

    def get(self) -> Broadcaster:
        with self._lock:
            if self._broadcaster is None:
                self._broadcaster = _from(Settings.from_environment().require_redis())
            return self._broadcaster

    def set(self, broadcaster: Broadcaster | None) -> Broadcaster | None:
        with self._lock:
            before, self._broadcaster = self._broadcaster, broadcaster
            return before


_default = _Default()


def configure(settings: Settings) -> Broadcaster:
    """Make this process's broadcaster from settings that were already read."""
    broadcaster = _from(settings)
    _default.set(broadcaster)
    return broadcaster


def use(broadcaster: Broadcaster | None) -> Broadcaster | None:
    """Make this the process's broadcaster, and return what was; for tests, with one over a MemoryLedger."""
    return _default.set(broadcaster)


def default_broadcaster() -> Broadcaster:
    """This process's broadcaster; raises InvalidSetting when ``REDIS_URL`` is missing."""
    return _default.get()


def broadcast_job_update(job_id: str, update: JobStatusUpdate | Mapping[str, Any]) -> None:
    """Tell everybody who follows this job; raises InvalidPayload for anything but an update."""
    default_broadcaster().job_update(job_id, update)


def send_notification_to_user(user_id: str, notification: Notification | Mapping[str, Any]) -> None:
    """Put a notification into this user's inbox; raises InvalidPayload for anything else."""
    default_broadcaster().notification(user_id, notification)


def broadcast_analytics_event(brand_id: str, event: AnalyticsEvent | Mapping[str, Any]) -> None:
    """Tell everybody who follows this brand; raises InvalidPayload for anything else."""
    default_broadcaster().analytics_event(brand_id, event)


def ledger_from(settings: Settings) -> RedisLedger:
    """The ledger these settings name."""
    return RedisLedger.from_url(
        settings.store_url,
        settings.socketio_channel,
        history=settings.jobcast_history_events,
        retention=settings.jobcast_retention_seconds,
        per_topic=settings.jobcast_channels != "shared",
    )


def _from(settings: Settings) -> Broadcaster:
    reporter = Reporter(
        ledger_from(settings), interval=settings.debounce_seconds, lease=settings.lease_seconds
    )
    atexit.register(reporter.close)
    return Broadcaster(reporter)


def _plain(update: JobStatusUpdate | Mapping[str, Any]) -> JobStatusUpdate | Mapping[str, Any]:
    """Numbers of any kind, and details of any kind, as a task may report them too."""
    if not isinstance(update, Mapping):
        return update
    made = dict(update)
    for name in ("progress", "completed", "total"):
        if (
            name in made
            and not isinstance(made[name], str)
            and (found := plain.number(made[name])) is not None
        ):
            made[name] = found
    if made.get("details") is not None:
        made["details"] = plain.details(made["details"])
    return made


def _parse(model: type[Model], value: Model | Mapping[str, Any], fixed: Mapping[str, Any]) -> Model:
    if isinstance(value, model):
        value = value.model_dump(by_alias=True)
    try:
        return model.model_validate(dict(value) | dict(fixed))
    except (ValidationError, TypeError, ValueError) as error:
        raise InvalidPayload(f"not a {model.__name__}: {error}") from error
