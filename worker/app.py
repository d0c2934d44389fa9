"""The Celery app of this deployment: ``celery -A worker.app worker``.

A setting that cannot be used ends the process here, with one line that names it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from celery import Celery

from jobcast.celery import make_celery
from jobcast.errors import InvalidSetting
from tasks.database import make_folder, parse_url
from tasks.settings import WorkSettings
from worker.logs import name_requests

TASK_MODULES: Final = ("tasks.publishing", "tasks.analytics_sync")


def make_app() -> Celery:
    """The app, connected to nothing yet; raises InvalidSetting."""
    settings = WorkSettings.from_environment()
    settings.require_redis()
    make_folder(parse_url(settings.database_url))
    celery = make_celery(settings)
    celery.conf.imports = TASK_MODULES
    name_requests()
    _check("REDIS_URL", lambda: celery.backend)
    broker = "CELERY_BROKER_URL" if settings.celery_broker_url else "REDIS_URL"
    _check(broker, lambda: celery.connection_for_write().transport_cls)
    return celery


def _check(variable: str, read: Callable[[], object]) -> None:
    """Celery reads its URLs late, when a worker is half up, and answers a bad one with a traceback."""
    try:
        read()
    except (ValueError, KeyError, ImportError) as error:
        raise InvalidSetting(variable, str(error.args[0]) if error.args else str(error)) from error


try:
    app = make_app()
except InvalidSetting as error:
    raise SystemExit(str(error)) from None
