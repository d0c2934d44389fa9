"""Whose job a task is, in its message: named by whoever queues it, or else inherited from the running task.

Every message is marked, those of tasks that report nothing too: a job may be queued by one of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from celery.app import app_or_default

from jobcast.ledger.port import OWNERS
from jobcast.ownership import current_owner

#: The header of a task's message that says whose job it is: a dict with ``ownerId`` and ``brandId``.
HEADER: Final = "jobcast"


def inherit(headers: dict[str, Any]) -> None:
    """Complete a message's header: by the running task's, ``owned_by`` and its own; the last one counts."""
    given = headers.get(HEADER)
    own = dict(given) if isinstance(given, Mapping) else {}
    owner = _running_owner() | current_owner() | own
    if owner:
        headers[HEADER] = owner


def _running_owner() -> dict[str, Any]:
    """The owner of the task that this thread is running for its worker."""
    task = app_or_default().current_worker_task
    known = task.request.get(HEADER) if task is not None else None
    return {name: known[name] for name in OWNERS if name in known} if isinstance(known, Mapping) else {}
