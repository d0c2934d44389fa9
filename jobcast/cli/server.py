"""The application of ``jobcast serve``, run in this process."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Final

from jobcast.flask.app import Web, create_app
from jobcast.ledger.outcome import Tasks
from jobcast.server.run import entry
from jobcast.server.settings import ServerSettings

#: Bytes of the largest request body; none of the routes takes more than a list of ids.
MAX_BODY_BYTES: Final = 64 * 1024


def serve_here() -> int:
    """Serve until SIGTERM; returns the exit code."""
    return entry.main("jobcast serve", ServerSettings.from_environment, _create_app)


def _create_app(settings: ServerSettings) -> Web:
    return create_app(settings, name="jobcast", max_body_bytes=MAX_BODY_BYTES, tasks=_tasks(settings))


def _tasks(settings: ServerSettings) -> Tasks | None:
    """The queue, where Celery is installed: a job that waits can be revoked then."""
    if find_spec("celery") is None:
        return None
    from jobcast.celery import make_celery
    from jobcast.celery.queue import TaskQueue

    return TaskQueue(make_celery(settings))
