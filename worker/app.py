"""The Celery app of this deployment: ``celery -A worker.app worker``."""

from __future__ import annotations

from celery import Celery

from jobcast.celery import make_celery
from jobcast.errors import InvalidSetting
from tasks.database import parse_url
from tasks.settings import WorkSettings

TASK_MODULES = ("tasks.publishing", "tasks.analytics_sync")


def _make() -> Celery:
    settings = WorkSettings.from_environment()
    settings.require_redis()
    parse_url(settings.database_url)
    celery = make_celery(settings)
    celery.conf.imports = TASK_MODULES
    return celery


try:
    app = _make()
except InvalidSetting as error:
    raise SystemExit(str(error)) from None
