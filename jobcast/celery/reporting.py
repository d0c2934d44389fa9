"""The reporter that this process's tasks use; one that goes nowhere where the set-up cannot work."""

from __future__ import annotations

import functools
import logging
from typing import Any, Final

from celery import Celery

from jobcast.broadcaster import configure, default_broadcaster
from jobcast.errors import InvalidSetting
from jobcast.job import Delivery
from jobcast.ledger import MemoryLedger
from jobcast.progress import Progress
from jobcast.reporter import Key, Reporter
from jobcast.settings import Settings

logger = logging.getLogger(__name__)

_SCHEMES: Final = ("redis://", "rediss://")


class NullReporter(Reporter):
    """A reporter that goes nowhere: tasks get a detached Progress, and what is posted is forgotten."""

    def __init__(self) -> None:
        super().__init__(MemoryLedger(), threaded=False)

    def start_job(self, job_id: str, **_: Any) -> Progress:
        """Return a Progress that nobody looks at."""
        return self.progress_type(job_id)

    def post(self, delivery: Delivery, key: Key | None = None, *, urgent: bool = False) -> None:
        """Forget it."""


def reporter_of(app: Celery) -> Reporter:
    """The process's reporter; where ``REDIS_URL`` is not set, over the app's own Redis broker.

    A set-up that cannot work is said in one line of the log, and the reporter then goes nowhere: the task it
    would have been about must not fail for it.
    """
    try:
        return _configured(app)
    except InvalidSetting as error:
        return _nowhere(str(error))
    except Exception as error:  # noqa: BLE001  # an old redis-py, or a URL that only it can judge
        return _nowhere(f"REDIS_URL: {error or type(error).__name__}")


def _configured(app: Celery) -> Reporter:
    try:
        return default_broadcaster().reporter
    except InvalidSetting as error:
        # Where the app's own tasks wait is in whatever form Celery takes, and no report goes there.
        foreign = {"celery_broker_url": ""} if error.variable == "CELERY_BROKER_URL" else {}
    settings = Settings.from_environment(**foreign)
    if not settings.redis_url:
        settings = _over_broker(app, foreign)
    return configure(settings).reporter


def _over_broker(app: Celery, foreign: dict[str, str]) -> Settings:
    """The settings with the broker's URL; of several that it fails over to, with the first."""
    given = app.conf.broker_url or ""
    first = given.split(";")[0] if isinstance(given, str) else str(next(iter(given), ""))
    if not first.startswith(_SCHEMES):  # Sentinel's service is not in Celery's URL
        raise InvalidSetting("REDIS_URL", "not set, and the app's broker is no Redis to be used instead")
    try:
        return Settings.from_environment(redis_url=first, **foreign)
    except InvalidSetting as error:
        if error.variable != "REDIS_URL":
            raise
        reason = f"not set, and the app's broker cannot be used instead: {error.reason}"
        raise InvalidSetting("REDIS_URL", reason) from error


@functools.cache
def _nowhere(reason: str) -> Reporter:
    logger.warning("progress of tasks is not reported: %s", reason)
    return NullReporter()
