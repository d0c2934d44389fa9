"""A Celery app from the settings: what the worker runs and the web process enqueues with."""

from __future__ import annotations

import logging
from typing import Any, Final

from celery import Celery

from jobcast.celery.error_text import DETAIL
from jobcast.ledger.sentinel import SentinelUrl, is_sentinel
from jobcast.settings import Settings
from jobcast.tls import INSECURE, celery_options

logger = logging.getLogger(__name__)

#: Seconds before Redis hands an unacknowledged task to somebody else. Not a bound on how long a job may
#: take: a worker that lives renews what it holds (jobcast.celery.visibility).
VISIBILITY_TIMEOUT: Final = 30
#: Seconds between two looks for such tasks, and how long one look may keep the others from looking.
RESTORE_EVERY: Final = 5
RESTORE_LOCK: Final = 10
#: By name, so that only a worker imports Celery's worker.
VISIBILITY_STEP: Final = "jobcast.celery.visibility:VisibilityStep"
RESULTS: Final = "jobcast.celery.results:PatientRedisBackend"
SENTINEL_RESULTS: Final = "jobcast.celery.results:PatientSentinelBackend"
#: Seconds a stopping worker lets running tasks go on; a platform kills after 30.
SOFT_SHUTDOWN_TIMEOUT: Final = 20
#: Seconds to wait for the broker before an enqueue fails.
BROKER_TIMEOUT: Final = 2


def make_celery(settings: Settings, name: str = "jobcast") -> Celery:
    """An app with its broker and result backend; task modules are added by whoever runs them."""
    if settings.jobcast_redis_tls_insecure:
        logger.warning(INSECURE)
    app = Celery(name, broker=_celery_url(settings.broker_url), backend=_celery_url(settings.result_url))
    app.loader.override_backends = {
        "redis": RESULTS,
        "rediss": RESULTS,
        "sentinel": SENTINEL_RESULTS,
    }
    app.conf.update(_configuration(settings))
    app.steps["consumer"].add(VISIBILITY_STEP)
    return app


def _configuration(settings: Settings) -> dict[str, Any]:
    configuration: dict[str, Any] = {
        "broker_connection_retry_on_startup": True,
        "broker_transport_options": {
            "visibility_timeout": VISIBILITY_TIMEOUT,
            "unacked_restore_interval": RESTORE_EVERY,
            "unacked_restore_throttle": 1,  # look each time
            "unacked_mutex_expire": RESTORE_LOCK,
            "socket_connect_timeout": BROKER_TIMEOUT,
            **_sentinel_options(settings.broker_url),
        },
        "result_backend_transport_options": _sentinel_options(settings.result_url),
        DETAIL: settings.jobcast_error_detail,
        "result_expires": settings.jobcast_retention_seconds,
        # Otherwise a task that succeeded fails when Redis is away at that moment.
        "result_backend_always_retry": True,
        "result_backend_max_sleep_between_retries_ms": 1000,
        # A task that ended while nobody could be told so is acknowledged, not run, when it comes again.
        "worker_deduplicate_successful_tasks": True,
        "worker_prefetch_multiplier": 1,  # a long job must not hold others back
        "worker_soft_shutdown_timeout": SOFT_SHUTDOWN_TIMEOUT,
        "worker_enable_soft_shutdown_on_idle": False,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
    }
    return configuration | _tls(settings)


def _celery_url(url: str) -> str:
    return SentinelUrl.parse(url).celery_url if is_sentinel(url) else url


def _sentinel_options(url: str) -> dict[str, Any]:
    return SentinelUrl.parse(url).celery_options if is_sentinel(url) else {}


def _tls(settings: Settings) -> dict[str, Any]:
    urls = {"broker_use_ssl": settings.broker_url, "redis_backend_use_ssl": settings.result_url}
    chosen = {
        name: celery_options(
            url, insecure=settings.jobcast_redis_tls_insecure, authorities=settings.jobcast_redis_ca
        )
        for name, url in urls.items()
    }
    return {name: options for name, options in chosen.items() if options}
