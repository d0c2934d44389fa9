"""The publishing tasks: ``draft`` stores posts that wait for approval, ``publish`` makes them public."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from celery import current_app, shared_task

from jobcast import JobStatusUpdate, broadcast_job_update
from jobcast.celery import ProgressTask
from jobcast.celery.error_text import error_text
from jobcast.models import JobStatus
from tasks.calendar import read_calendar
from tasks.errors import InvalidPost, InvalidTable, PublishingFailed
from tasks.notifications import Notifications
from tasks.patience import WAITING, telling, telling_by
from tasks.posts import NewPost, read_posts
from tasks.publisher import Publisher
from tasks.resources import Resources, workspace

Posts = Sequence[Mapping[str, Any]]


@shared_task(
    bind=True,
    base=ProgressTask,
    name="tasks.publishing.publish",
    success_status="published",
    acks_late=True,
    reject_on_worker_lost=True,
    throws=(PublishingFailed, InvalidPost, InvalidTable),
)
def publish(
    self: ProgressTask,
    *,
    brand_id: str,
    user_id: str,
    posts: Posts | None = None,
    calendar_csv: str | None = None,
) -> dict[str, Any]:
    """Publish posts given as the contract's publish body has them, or a CSV content calendar.

    With neither, the posts that ``draft`` stored for this job's id. Delivered again, it goes on where it was.
    Raises PublishingFailed, InvalidPost or InvalidTable; returns the job's details.
    """
    job_id = self.request.id or ""
    notices = Notifications(job_id, brand_id, user_id)
    try:
        with telling_by(self.progress):
            place = workspace()
            place.storage.add_posts(job_id, brand_id, user_id, _read(place, posts, calendar_csv))
            details = Publisher(place, self.progress).run(job_id)
    except Exception as error:
        notices.failed("Publishing failed", error_text(self.app, error, self))
        raise
    notices.completed(_published(details))
    return details


@shared_task(
    name="tasks.publishing.draft",
    acks_late=True,
    reject_on_worker_lost=True,
    throws=(PublishingFailed, InvalidPost, InvalidTable),
)
def draft(
    *,
    job_id: str,
    brand_id: str,
    user_id: str,
    posts: Posts | None = None,
    calendar_csv: str | None = None,
) -> None:
    """Store a job's posts and ask for approval; the job then waits as ``pending``.

    Raises InvalidPost, InvalidTable or, without any posts, PublishingFailed; the job has failed then.
    """
    notices = Notifications(job_id, brand_id, user_id)
    try:
        with telling(lambda: _broadcast(job_id, "draft", description=WAITING)):
            waiting = _store_draft(job_id, brand_id, user_id, posts, calendar_csv)
    except Exception as error:
        text = error_text(current_app, error)
        _broadcast(job_id, "failed", text)
        notices.failed("Posts cannot be used", text)
        raise
    if waiting:
        _broadcast(job_id, "pending", details={"requiresApproval": True})
        notices.approval_needed(f"{_posts(waiting)} waiting for approval")


def _store_draft(
    job_id: str, brand_id: str, user_id: str, posts: Posts | None, calendar_csv: str | None
) -> int:
    """How many posts wait now; 0 when the job has gone on since, and this is a late second delivery."""
    place = workspace()
    place.storage.add_posts(job_id, brand_id, user_id, _read(place, posts, calendar_csv))
    deliveries = place.storage.deliveries(job_id)
    if not deliveries:
        raise PublishingFailed("there are no posts to publish")
    if any(delivery.status not in ("draft", "pending") for delivery in deliveries):
        return 0
    _broadcast(job_id, "draft")
    place.storage.move(job_id, ("draft",), "pending")
    return len({delivery.post_id for delivery in deliveries})


def _read(place: Resources, posts: Posts | None, calendar_csv: str | None) -> Iterator[NewPost]:
    if calendar_csv is not None:
        return read_calendar(calendar_csv, place.platforms, place.csv_limits)
    return read_posts(posts or (), place.platforms)


def _broadcast(
    job_id: str,
    status: JobStatus,
    error: str | None = None,
    details: dict[str, Any] | None = None,
    description: str | None = None,
) -> None:
    update = JobStatusUpdate(
        job_id=job_id, status=status, error=error, details=details, description=description
    )
    broadcast_job_update(job_id, update)


def _published(details: Mapping[str, Any]) -> str:
    return f"{_posts(details['posts'])} published to {', '.join(details['platforms'])}"


def _posts(count: int) -> str:
    return f"{count} {'post' if count == 1 else 'posts'}"
