"""The reporter that this process's tasks use."""

from __future__ import annotations

import logging

from celery import Celery

from jobcast.broadcaster import configure, default_broadcaster
from jobcast.errors import InvalidSetting
from jobcast.reporter import Reporter
from jobcast.settings import Settings

logger = logging.getLogger(__name__)


def reporter_of(app: Celery) -> Reporter:
    """The process's reporter; where ``REDIS_URL`` is not set, over the app's own Redis broker."""
    try:
        return default_broadcaster().reporter
    except InvalidSetting:
        broker = str(app.conf.broker_url or "")
        if not broker.startswith(("redis://", "rediss://")):  # Sentinel's service is not in Celery's URL
            raise
        return configure(Settings.from_environment(redis_url=broker)).reporter
