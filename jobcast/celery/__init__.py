"""Live progress for Celery tasks: a task base class, and the signals that say how each one ended.

Two lines give an existing task a live bar: ``base=ProgressTask``, and a loop over
``self.progress.track(…)``.
"""

from jobcast.celery.app import make_celery
from jobcast.celery.connecting import connect
from jobcast.celery.queue import TaskQueue
from jobcast.celery.signals import connect_signals
from jobcast.celery.task import ProgressTask

connect_signals()

__all__ = ["ProgressTask", "TaskQueue", "connect", "make_celery"]
