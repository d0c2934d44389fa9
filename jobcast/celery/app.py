"""A Celery app from the settings: what the worker runs and the web process enqueues with."""

from __future__ import annotations

import ssl
from typing import Any, Final

from celery import Celery

from jobcast.settings import Settings

#: Seconds before Redis hands an unacknowledged task to somebody else; above the longest job.
VISIBILITY_TIMEOUT: Final = 12 * 3600
#: Seconds a stopping worker lets running tasks go on; a platform kills after 30.
SOFT_SHUTDOWN_TIMEOUT: Final = 20
#: Seconds to wait for the broker before an enqueue fails.
BROKER_TIMEOUT: Final = 2


def make_celery(settings: Settings, name: str = "jobcast") -> Celery:
    """An app with its broker and result backend; task modules are added by whoever runs them."""
    app = Celery(name, broker=settings.broker_url, backend=settings.redis_url)
    app.conf.update(_configuration(settings))
    return app


def _configuration(settings: Settings) -> dict[str, Any]:
    configuration: dict[str, Any] = {
        "broker_connection_retry_on_startup": True,
        "broker_transport_options": {
            "visibility_timeout": VISIBILITY_TIMEOUT,
            "socket_connect_timeout": BROKER_TIMEOUT,
        },
        "result_expires": settings.jobcast_retention_seconds,
        # Otherwise a task that succeeded fails when Redis is away at that moment.
        "result_backend_always_retry": True,
        "result_backend_max_sleep_between_retries_ms": 1000,
        "worker_prefetch_multiplier": 1,  # a long job must not hold others back
        "worker_soft_shutdown_timeout": SOFT_SHUTDOWN_TIMEOUT,
        "worker_enable_soft_shutdown_on_idle": False,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
    }
    if settings.broker_url.startswith("rediss://"):
        configuration["broker_use_ssl"] = {"ssl_cert_reqs": ssl.CERT_REQUIRED}
    if settings.redis_url.startswith("rediss://"):
        configuration["redis_backend_use_ssl"] = {"ssl_cert_reqs": ssl.CERT_REQUIRED}
    return configuration
