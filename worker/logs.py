"""The worker's log names the HTTP request a task was begun by."""

from __future__ import annotations

import logging
from typing import Any

from celery import current_task, signals


class RequestFormatter(logging.Formatter):
    """Writes a line as ``inner`` does, and the running task's request behind it."""

    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self._inner = inner

    def format(self, record: logging.LogRecord) -> str:
        line = self._inner.format(record)
        request_id = running_request()
        return f"{line} request={request_id}" if request_id else line


def running_request() -> str | None:
    """The id of the request that began the task which runs here; None between tasks."""
    task: Any = current_task
    meta = task.request.get("jobcast") if task else None
    found = meta.get("requestId") if isinstance(meta, dict) else None
    return found if isinstance(found, str) else None


def name_requests() -> None:
    """Have both of Celery's loggers do so, once they are set up."""
    for signal in (signals.after_setup_logger, signals.after_setup_task_logger):
        signal.connect(_wrap_formatters, weak=False)


def _wrap_formatters(*, logger: logging.Logger, **_: Any) -> None:
    for handler in logger.handlers:
        if not isinstance(handler.formatter, RequestFormatter):
            handler.setFormatter(RequestFormatter(handler.formatter or logging.Formatter()))
