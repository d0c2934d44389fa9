"""What people are told of a task's exception: its text only where it is meant for them.

A message says whatever its library likes: SQL with its parameters, hosts, paths, somebody's data. Browsers,
inboxes and polls get the text of a ``PublicError``, of what a task lists in ``throws`` and of what Celery
says about a worker; of anything else the type, and where the log has the rest. A task can decide otherwise by
overriding ``public_error``, and ``JOBCAST_ERROR_DETAIL=all`` lets every text through.
"""

from __future__ import annotations

import contextlib
from typing import Any, Final

from billiard.exceptions import SoftTimeLimitExceeded, Terminated, TimeLimitExceeded, WorkerLostError
from celery import Celery
from celery.exceptions import Retry

from jobcast.errors import InvalidSetting, PublicError
from jobcast.settings import Settings

#: Key of Celery's configuration: ``public`` or ``all``; the environment decides where it is not set.
DETAIL: Final = "jobcast_error_detail"
_OF_WORKERS: Final = (SoftTimeLimitExceeded, Terminated, TimeLimitExceeded, WorkerLostError)


def error_text(app: Celery, error: Any, task: Any = None) -> str:
    """The text for people; ``task`` is the one that raised, where it is at hand."""
    if isinstance(error, Retry):
        return f"Retry {error.humanize()}: {_reason(app, error, task)}"
    chosen = _chosen(task, error)
    if chosen is not None:
        return chosen
    if isinstance(error, _public(task)) or _tells_all(app):
        return _own_text(error)
    return f"{type(error).__name__} ({_where(task)})"


def _reason(app: Celery, retry: Retry, task: Any) -> str:
    if isinstance(retry.exc, BaseException):
        return error_text(app, retry.exc, task)
    return _own_text(retry) if _tells_all(app) else "asked for by its task"


def _chosen(task: Any, error: Any) -> str | None:
    """By the task's own hook; one that fails decides nothing."""
    with contextlib.suppress(Exception):
        found = task.public_error(error) if hasattr(task, "public_error") else None
        return found if isinstance(found, str) else None
    return None


def _public(task: Any) -> tuple[type[BaseException], ...]:
    return (PublicError, *_OF_WORKERS, *(getattr(task, "throws", None) or ()))


def _own_text(error: Any) -> str:
    with contextlib.suppress(Exception):
        return str(error) or type(error).__name__
    return type(error).__name__


def _where(task: Any) -> str:
    meta = getattr(getattr(task, "request", None), "jobcast", None)
    request_id = meta.get("requestId") if isinstance(meta, dict) else None
    return f"the log has more, request {request_id}" if request_id else "the worker's log has more"


def _tells_all(app: Celery) -> bool:
    detail = app.conf.get(DETAIL)
    if detail is None:
        with contextlib.suppress(InvalidSetting):
            detail = Settings.from_environment().jobcast_error_detail
    return bool(detail == "all")
