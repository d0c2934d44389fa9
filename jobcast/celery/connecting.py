"""Live jobs without touching a task: every task of an app, or those whose names are given."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final
from weakref import WeakKeyDictionary

from celery import Celery, signals

from jobcast.celery.task import ProgressTask, make_live

#: Celery's own tasks, which nobody waits for.
_BUILT_IN: Final = ("celery.*",)


@dataclass(frozen=True, slots=True)
class _Selection:
    tasks: tuple[str, ...]
    exclude: tuple[str, ...]

    def __contains__(self, name: str) -> bool:
        return _matches(name, self.tasks) and not _matches(name, self.exclude)


_selections: WeakKeyDictionary[Celery, _Selection] = WeakKeyDictionary()


def connect(app: Celery, *, tasks: Iterable[str] = ("*",), exclude: Iterable[str] = ()) -> None:
    """Make every task of an app a live job; ``tasks`` and ``exclude`` are names, ``*`` and ``?`` in them.

    Call it once where the app is made, in the worker and in whatever queues its tasks. A task needs no base
    class then, and reports with ``jobcast.current()`` or ``jobcast.track(…)``.
    """
    _selections[app] = _Selection(tuple(tasks), (*_BUILT_IN, *exclude))
    app.on_after_finalize.connect(_make_live, weak=False)
    signals.worker_init.connect(_worker_starts, weak=False, dispatch_uid="jobcast.connect")
    if getattr(app, "finalized", False):
        _make_live(app)


def is_reported(task: Any) -> bool:
    """Whether a task's runs are jobs that somebody may watch."""
    if isinstance(task, ProgressTask):
        return True
    selection = _selections.get(task.app) if task is not None and _selections else None
    return selection is not None and task.name in selection


def _make_live(sender: Celery, **_: Any) -> None:
    for task in list(sender.tasks.values()):
        if is_reported(task) and not isinstance(task, ProgressTask):
            make_live(task)


def _worker_starts(sender: Any, **_: Any) -> None:
    """Tasks that came after the app was finalized; the worker looks at them only now."""
    if sender.app in _selections:
        sender.app.finalize()
        _make_live(sender.app)


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
