"""The work that this deployment can be asked for: publish, approve, sync. By task name: ``web`` does not
know ``tasks``."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, Final

from jobcast.celery.queue import TaskQueue
from jobcast.errors import QueueUnavailable
from jobcast.flask.request_ids import request_id
from jobcast.ledger import Appended, Ledger
from jobcast.ledger.ends import end_of
from jobcast.models import JobStatus, JobStatusUpdate, now
from jobcast.server.errors import Conflict
from jobcast.server.job_control import current
from jobcast.topics import job_topic

PUBLISH: Final = "tasks.publishing.publish"
DRAFT: Final = "tasks.publishing.draft"
SYNC: Final = "tasks.analytics_sync.sync"


class Publishing:
    """Jobs of this deployment: created in the ledger first, then enqueued by task name."""

    def __init__(self, ledger: Ledger, queue: TaskQueue) -> None:
        self._ledger = ledger
        self._queue = queue

    def publish(
        self, owner: str, brand: str, content: Mapping[str, Any], *, requires_approval: bool
    ) -> JobStatusUpdate:
        """Create a publishing job; ``content`` is ``posts`` or ``calendar_csv``."""
        job_id, meta = uuid.uuid4().hex, _meta(owner, brand)
        if requires_approval:
            meta["requiresApproval"] = "1"
        self._create(job_id, "draft", meta)
        arguments = {"brand_id": brand, "user_id": owner, **content}
        if requires_approval:
            self._send(DRAFT, f"{job_id}.draft", {"job_id": job_id, **arguments}, meta, job_id)
        else:
            self._append(job_id, "pending")
            self._append(job_id, "approved")
            self._send(PUBLISH, job_id, arguments, meta, job_id)
        return self._current(job_id)

    def sync(self, owner: str, brand: str, platform: str, csv_text: str) -> JobStatusUpdate:
        """Create an analytics sync of one platform's export."""
        job_id, meta = uuid.uuid4().hex, _meta(owner, brand)
        self._create(job_id, "pending", meta)
        arguments = {"brand_id": brand, "user_id": owner, "platform": platform, "csv_text": csv_text}
        self._send(SYNC, job_id, arguments, meta, job_id)
        return self._current(job_id)

    def approve(self, job_id: str, approver: str) -> JobStatusUpdate:
        """Let a job that waits for approval go on; raise Conflict for any other."""
        self._current(job_id)
        meta = self._ledger.meta(job_topic(job_id))
        if "requiresApproval" not in meta or "approvedBy" in meta:
            raise Conflict("this job does not wait for approval")
        appended = self._append(job_id, "approved", {"pending"}, {"approvedBy": approver or "anybody"})
        if not appended.stored:
            raise Conflict("this job does not wait for approval")
        arguments = {"brand_id": meta["brandId"], "user_id": meta["ownerId"]}
        self._send(PUBLISH, job_id, arguments, meta, job_id)
        return self._current(job_id)

    def _create(self, job_id: str, status: JobStatus, meta: Mapping[str, str]) -> None:
        update = JobStatusUpdate(job_id=job_id, status=status, request_id=meta.get("requestId"))
        self._ledger.append_job(update, expected=frozenset({"none"}), meta=meta)
        self._ledger.list_job(meta["brandId"], job_id)

    def _append(
        self,
        job_id: str,
        status: JobStatus,
        expected: set[str] | frozenset[str] | None = None,
        meta: Mapping[str, str] | None = None,
    ) -> Appended:
        known = self._current(job_id)
        change = {"status": status, "timestamp": now(), "error": None, "details": None}
        return self._ledger.append_job(
            known.model_copy(update=change),
            expected=frozenset(expected) if expected else None,
            meta=meta,
        )

    def _send(
        self, task: str, task_id: str, kwargs: Mapping[str, Any], meta: Mapping[str, str], job_id: str
    ) -> None:
        """Enqueue, or else end the job that was just created: nothing is left half-started."""
        try:
            self._queue.send(task, task_id, kwargs, meta)
        except QueueUnavailable as error:
            end = end_of(self._ledger, self._current(job_id), "failed", str(error), details=None)
            self._ledger.append_job(end)
            raise

    def _current(self, job_id: str) -> JobStatusUpdate:
        return current(self._ledger, job_id)


def _meta(owner: str, brand: str) -> dict[str, str]:
    """What is stored with a job and travels in its message: whose it is, and which request began it."""
    meta = {"ownerId": owner, "brandId": brand}
    if begun_by := request_id():
        meta["requestId"] = begun_by
    return meta
