"""What Celery's signals say about a job's life, and in which process they say it.

A prefork worker is two processes. The child runs the task and knows its progress; the parent alone learns
that a child was killed, ran into its hard time limit or was revoked. Handlers are connected in both, and
the ledger's guard lets only the first end of an attempt through.
"""

from __future__ import annotations

import functools
import logging
import sys
from collections.abc import Callable
from typing import Any

from celery import Celery, signals, states
from celery.app import app_or_default

from jobcast.celery.connecting import is_reported
from jobcast.celery.error_text import error_text
from jobcast.celery.inheritance import HEADER, inherit
from jobcast.celery.reporting import reporter_of
from jobcast.celery.task import begin, failure, ignored_end, leave, replaced_by, success_status
from jobcast.celery.watchdog import GREEN_POOLS, watch
from jobcast.job import Event
from jobcast.ledger import Appended, Ledger
from jobcast.ledger.ends import end_of
from jobcast.models import JobStatus, JobStatusUpdate
from jobcast.reporter import CLOSE_TIMEOUT
from jobcast.topics import job_topic, valid_id

logger = logging.getLogger(__name__)

Handler = Callable[..., None]


def connect_signals() -> None:
    """Connect every handler once; importing ``jobcast.celery`` does it."""
    for signal, handler in (
        (signals.before_task_publish, _queued),
        (signals.task_prerun, _started),
        (signals.task_success, _succeeded),
        (signals.task_failure, _failed),
        (signals.task_retry, _retried),
        (signals.task_revoked, _revoked),
        (signals.task_postrun, _returned),
        (signals.task_unknown, _unknown),
        (signals.worker_ready, _ready),
        (signals.worker_process_shutdown, _stopping),
        (signals.worker_shutdown, _stopping),
    ):
        signal.connect(handler, weak=False, dispatch_uid=f"jobcast.{handler.__name__}")


def _never_raising(handler: Handler) -> Handler:
    """A report that goes wrong is logged; the task it is about must not notice."""

    @functools.wraps(handler)
    def wrapper(**kwargs: Any) -> None:
        try:
            handler(**kwargs)
        except Exception:
            logger.exception("progress of a task is not reported")

    return wrapper


@_never_raising
def _queued(*, sender: str, headers: dict[str, Any], body: Any, **_: Any) -> None:
    inherit(headers)
    app = _app_with(sender)
    message = headers if "id" in headers else body  # of protocol 2, or of protocol 1
    if app is None or message.get("retries"):
        return  # a retry has said so itself
    job_id = message["id"]
    update = JobStatusUpdate(job_id=job_id, status="pending")
    meta = _meta(headers.get(HEADER))
    post = _appender(update, expected=frozenset({"none"}), meta=meta)
    reporter_of(app).post(Event(job_topic(job_id), post))


@_never_raising
def _started(*, task_id: str, task: Any, **_: Any) -> None:
    if not is_reported(task):
        return
    request = task.request
    meta = _meta(request.get("jobcast")) | {"successStatus": success_status(task)}
    progress = reporter_of(task.app).start_job(
        task_id,
        retries=request.retries or 0,
        meta=meta,
        grace=getattr(task, "cancel_grace", None),
        terminate=functools.partial(_kill, task.app, task_id, request.hostname),
    )
    begin(task, progress)


def _kill(app: Celery, task_id: str, hostname: str | None) -> None:
    """Let the parent kill the process; whatever the task does there, a call into C included."""
    where = [hostname] if hostname else None
    app.control.revoke(task_id, destination=where, terminate=True, signal="SIGKILL")


@_never_raising
def _succeeded(*, sender: Any, **_: Any) -> None:
    if is_reported(sender):
        reporter_of(sender.app).end_job(sender.request.id or "", success_status(sender))


@_never_raising
def _failed(*, sender: Any, task_id: str, exception: BaseException, **_: Any) -> None:
    if is_reported(sender):
        _end(sender.app, task_id, *failure(sender, exception))


@_never_raising
def _retried(*, sender: Any, request: Any, reason: Any = None, **_: Any) -> None:
    """Without a reason it is the worker that stops, not a retry; jobcast.celery.request tells of it."""
    if reason is not None and is_reported(sender):
        cause = getattr(reason, "exc", None)
        kind = type(cause).__name__ if isinstance(cause, BaseException) else None
        reporter_of(sender.app).end_job(request.id, "pending", error_text(sender.app, reason, sender), kind)


@_never_raising
def _revoked(*, sender: Any, request: Any, expired: bool, **_: Any) -> None:
    if is_reported(sender):
        _end(sender.app, request.id, "cancelled", "expired before it started" if expired else None)


@_never_raising
def _returned(*, task_id: str, task: Any, state: str | None, retval: Any = None, **_: Any) -> None:
    """The states no other signal tells of; ``None`` means that the parent process will know."""
    if not is_reported(task):
        return
    leave(task)
    reporter = reporter_of(task.app)
    if state == states.IGNORED:
        if (name := replaced_by(task)) and is_reported(task.app.tasks.get(name)):
            reporter.replace_job(task_id)
        reporter.end_job(task_id, *ignored_end(task))
    elif state == states.REJECTED:
        requeued = bool(getattr(retval, "requeue", False))
        reporter.end_job(task_id, "pending" if requeued else "failed", "rejected by its worker")
    elif state is None and task.request.is_eager:
        error = sys.exc_info()[1]
        if error is not None:  # on its way to whoever has called it; there is no parent that will know
            reporter.end_job(task_id, *failure(task, error))
    reporter.abandon_job(task_id, unless_expected=state is not None)


@_never_raising
def _unknown(*, name: str, id: str, **_: Any) -> None:
    """The worker has thrown the message away; if its job is one of ours, it would wait for ever."""
    error = f"no worker knows the task {name}"

    def fail_if_known(ledger: Ledger) -> Appended | None:
        return end_elsewhere(ledger, id, "failed", error) if ledger.job(id) else None

    reporter_of(_current_app()).post(Event(job_topic(valid_id(id)), fail_if_known))


@_never_raising
def _ready(*, sender: Any, **_: Any) -> None:
    """Let somebody who can vouch for jobs that are busy: their processes live, and cannot renew a lease.

    In a prefork pool that is the parent, which would know if a child were gone; beside a loop of green
    threads a thread of its own.
    """
    reporter, pool = reporter_of(sender.app), type(sender.pool).__module__
    if pool == "celery.concurrency.prefork":
        reporter.renew_for(_running_jobs)
    elif pool in GREEN_POOLS:
        watch(pool, *reporter.beside(), reporter.lease / 4)


def _running_jobs() -> list[str]:
    from celery.worker import state  # only in a worker

    return [request.id for request in tuple(state.active_requests) if is_reported(request.task)]


@_never_raising
def _stopping(**_: Any) -> None:
    reporter = reporter_of(_current_app())
    reporter.close(CLOSE_TIMEOUT)
    logger.info("reports of this process: %s", reporter.counters)


def _end(
    app: Celery, job_id: str, status: JobStatus, error: str | None = None, error_type: str | None = None
) -> None:
    """End a job from the process that ran it, or else from what the ledger last heard of it."""
    reporter = reporter_of(app)
    if not reporter.end_job(job_id, status, error, error_type):
        end = functools.partial(
            end_elsewhere, job_id=job_id, status=status, error=error, error_type=error_type
        )
        reporter.post(Event(job_topic(job_id), end))


def end_elsewhere(
    ledger: Ledger, job_id: str, status: JobStatus, error: str | None, error_type: str | None = None
) -> Appended:
    """End a job whose own process cannot; it keeps the progress it had."""
    known = ledger.job(job_id) or JobStatusUpdate(job_id=job_id, status=status)
    appended = ledger.append_job(end_of(ledger, known, status, error, error_type))
    ledger.release(job_topic(job_id))
    return appended


def _appender(update: JobStatusUpdate, **options: Any) -> Callable[[Ledger], Appended]:
    return lambda ledger: ledger.append_job(update, **options)


def _current_app() -> Celery:
    found: Celery = app_or_default()
    return found


def _app_with(task_name: str) -> Celery | None:
    """The current app, if the named task is one of ours in it."""
    app = _current_app()
    return app if is_reported(app.tasks.get(task_name)) else None


def _meta(given: Any) -> dict[str, str]:
    """Owner and brand, as the producer put them into the message's headers."""
    if not isinstance(given, dict):
        return {}
    return {name: value for name, value in given.items() if isinstance(value, str)}
