"""The task base class: ``self.progress``, and what becomes of a job whose task runs, ends or is cancelled.

Reporting hooks in where Celery's own autoretry does: around ``run``. ``__call__`` is left to the app, whose
base classes and mix-ins may do there what they like, in any order.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final

from celery import Task, states
from celery.canvas import Signature
from celery.exceptions import Ignore, Reject, Retry, TaskRevokedError

from jobcast import plain
from jobcast.celery.error_text import error_text
from jobcast.celery.reporting import reporter_of
from jobcast.errors import JobCancelled
from jobcast.models import JobStatus
from jobcast.progress import Progress, running_as
from jobcast.reporter import Reporter

logger = logging.getLogger(__name__)

REQUEST: Final = "jobcast.celery.request:InterruptibleRequest"
#: Where a task's request remembers the state its task has set, and whether it has replaced itself.
_STATE: Final = "jobcast_state"
_REPLACED: Final = "jobcast_replaced"
_RUNNING: Final = "jobcast_running"
_MARK: Final = "jobcast_run"


class ProgressTask(Task):  # type: ignore[type-arg]  # generic in the stubs only
    """A task whose job is visible from the moment it is queued until it has ended.

    ``success_status`` is what a finished job shows: ``completed``, or ``published`` for publishing.
    ``cancel_grace`` is how many seconds a task may go on after its job was cancelled; then its process is
    killed. None leaves a task alone that ignores it.
    """

    abstract = True
    Request = REQUEST
    success_status: JobStatus = "completed"
    cancel_grace: float | None = None

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        found = inspect.getattr_static(cls, "run")
        if found is not Task.run and not hasattr(found, _MARK):
            cls.run = _reported_method(found)  # type: ignore[method-assign]

    @property
    def progress(self) -> Progress:
        """The progress of the running job; a detached one when the task is called as a function.

        A helper thread of the task gets it too, as long as the process runs no other job of this task.
        """
        return progress_of(self)

    def public_error(self, error: BaseException) -> str | None:
        """A text for people about what the task raised; None: the usual one (jobcast.celery.error_text)."""
        return None

    def update_state(
        self, task_id: str | None = None, state: str | None = None, meta: Any = None, **kwargs: Any
    ) -> None:
        """As Celery has it; what is set before ``raise Ignore`` is how the job ends."""
        note_state(self, task_id, state, meta)
        super().update_state(task_id, state, meta, **kwargs)

    def replace(self, sig: Signature[Any]) -> Any:
        """As Celery has it; the job goes on as what replaces it."""
        setattr(self.request, _REPLACED, _last_name(sig))
        return super().replace(sig)


def progress_of(task: Any) -> Progress:
    """What the running task reports through; a detached one where none runs."""
    request = task.request_stack.top
    if request is None:
        return _of_helper(task)
    found = _reporter(task)
    return (found and request.id and found.progress(request.id)) or Progress(request.id or task.name)


def begin(task: Any, progress: Progress) -> None:
    """Let a job that is about to run find its progress, and not be stopped before its body.

    One that was registered too late to be wrapped is wrapped for the next time, and finds it all the same.
    """
    progress.interruptible = False
    if not _is_wrapped(task):
        make_live(task)
        running = running_as(progress)
        running.__enter__()
        setattr(task.request, _RUNNING, running)


def leave(task: Any) -> None:
    """The job has run, as ``begin`` began it."""
    running = task.request.__dict__.pop(_RUNNING, None)
    if running is not None:
        running.__exit__(None, None, None)


def _is_wrapped(task: Any) -> bool:
    return hasattr(inspect.getattr_static(type(task), "run"), _MARK) or hasattr(task.run, _MARK)


def make_live(task: Any) -> None:
    """Report a task that has another base class."""
    if _is_wrapped(task):
        return
    run = task.run
    task.run = _mark(functools.partial(_run, task, run), run)
    with contextlib.suppress(TypeError, ValueError):
        task.run.__signature__ = inspect.signature(run)
    update_state = task.update_state

    def noting(task_id: str | None = None, state: str | None = None, meta: Any = None, **kwargs: Any) -> None:
        note_state(task, task_id, state, meta)
        update_state(task_id, state, meta, **kwargs)

    task.update_state = noting
    if task.Request == Task.Request:
        task.Request = REQUEST


def note_state(task: Any, task_id: str | None, state: str | None, meta: Any) -> None:
    """Remember what a task says of itself; of another task it is none of ours."""
    if task_id in (None, task.request.id):
        setattr(task.request, _STATE, (state, meta))


def ignored_end(task: Any) -> tuple[JobStatus, str | None]:
    """How a job ends whose task raised Ignore: as the state says that it has set, or else as cancelled."""
    state, meta = getattr(task.request, _STATE, None) or (None, None)
    if state == states.SUCCESS:
        return success_status(task), None
    if state == states.FAILURE:
        return "failed", _reason(task, meta)
    return "cancelled", None


def replaced_by(task: Any) -> str | None:
    """The name of the task that goes on under the id of one that has replaced itself."""
    return getattr(task.request, _REPLACED, None)


def success_status(task: Any) -> JobStatus:
    """What a job of this task shows when it has succeeded."""
    found: JobStatus = getattr(task, "success_status", "completed")
    return found


def _reported_method(run: Any) -> Any:
    """``run``, a function or a static method in a class, reported."""
    is_static = isinstance(run, staticmethod)
    function = run.__func__ if is_static else run

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return _run(self, function if is_static else functools.partial(function, self), *args, **kwargs)

    marked = _mark(method, function)
    with contextlib.suppress(TypeError, ValueError):
        signature = inspect.signature(function)
        me = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
        given = list(signature.parameters.values())
        marked.__signature__ = signature.replace(parameters=[me, *given] if is_static else given)
    return marked


def _mark(reported: Any, run: Any) -> Any:
    functools.update_wrapper(reported, run)
    del reported.__wrapped__  # Celery's annotations would take that, and leave the reporting out
    setattr(reported, _MARK, True)
    return reported


def _run(task: Any, run: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Run the body; the outermost call of a job says what is expected to become of it."""
    reporter = _reporter(task)
    progress = reporter.progress(task.request.id) if reporter and task.request.id else None
    if reporter is None or progress is None or progress.interruptible:
        return run(*args, **kwargs)  # called as a function
    with _running(task, progress):
        try:
            result = run(*args, **kwargs)
        except JobCancelled:
            _end_cancelled(task, reporter)
            raise Ignore from None
        except (Reject, Ignore):
            raise  # told by a signal
        except Retry as retry:
            reporter.expect_end(progress.job_id, "pending", error_text(task.app, retry, task))
            raise
        except Exception as error:
            if not isinstance(error, tuple(getattr(task, "autoretry_for", ()))):
                reporter.expect_end(progress.job_id, *failure(task, error))
            raise
    reporter.expect_end(progress.job_id, success_status(task))
    return result


def failure(task: Any, error: BaseException) -> tuple[JobStatus, str, str]:
    """The end of a job whose task has raised this: status, words for people, and type."""
    return "failed", error_text(task.app, error, task), type(error).__name__


_helped: list[tuple[str, Progress]] = []


@contextlib.contextmanager
def _running(task: Any, progress: Progress) -> Iterator[None]:
    """The body of the task: its reports may raise JobCancelled, and its call stack finds them."""
    entry = (task.name, progress)
    _helped.append(entry)
    progress.interruptible = True
    try:
        with running_as(progress):
            yield
    finally:
        progress.interruptible = False
        _helped.remove(entry)


def _of_helper(task: Any) -> Progress:
    """In a thread that Celery did not start: the one job of this task that runs in this process."""
    found = [progress for name, progress in tuple(_helped) if name == task.name]
    if len(found) == 1:
        return found[0]
    if found:
        logger.warning(
            "self.progress of %s in %s reports to nobody: %d jobs of it run in this process. Take it once, "
            "before the thread begins: progress = self.progress",
            *(task.name, threading.current_thread().name, len(found)),
        )
    return Progress(task.name)


def _reporter(task: Any) -> Reporter | None:
    try:
        return reporter_of(task.app)
    except Exception:  # noqa: BLE001  # a set-up that cannot report; said when the job was to begin
        return None


def _end_cancelled(task: Any, reporter: Reporter) -> None:
    """Tell the page, and tell Celery as it tells itself of a revoked task."""
    request = task.request
    reporter.end_job(request.id, "cancelled")
    ignores = request.get("ignore_result")
    stores = not (task.ignore_result if ignores is None else ignores)
    if request.is_eager and not task.store_eager_result:
        return
    # The result backend may be away; the ledger hears of it through the reporter all the same.
    with contextlib.suppress(Exception):
        task.backend.mark_as_failure(
            request.id,
            TaskRevokedError("cancelled"),
            request=request,
            store_result=stores,
            call_errbacks=False,
            state=states.REVOKED,
        )


def _reason(task: Any, meta: Any) -> str:
    """What ``update_state(FAILURE, meta=…)`` gives as the reason."""
    if isinstance(meta, BaseException):
        return error_text(task.app, meta, task)
    if not isinstance(meta, dict):
        return plain.text(meta) if meta is not None else "failed"
    message = meta.get("exc_message", meta.get("error", meta.get("message")))
    if isinstance(message, list | tuple):
        message = ", ".join(map(plain.text, message))
    return plain.text(message or meta.get("exc_type") or "failed")


def _last_name(sig: Any) -> str | None:
    """The name of the task that will have the id of the whole: the last of a chain, the body of a chord."""
    if sig.task == "celery.chord":
        return _last_name(sig.body)
    if sig.task == "celery.chain":
        return _last_name(sig.tasks[-1]) if sig.tasks else None
    return str(sig.task)
