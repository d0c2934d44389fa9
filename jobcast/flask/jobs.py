"""``/api/jobs``: the current state, what came before, and what can be done."""

from __future__ import annotations

from flask import Blueprint, Response, request

from jobcast.flask.ids import ID, is_last_segment
from jobcast.flask.requests import grant, json_of, json_text, no_body, number_argument
from jobcast.ledger import StoredEvent
from jobcast.models import JobHistory, JobsPage, JobStatusUpdate
from jobcast.server import audit
from jobcast.server.errors import RequestRefused
from jobcast.server.services import Services
from jobcast.topics import brand_topic, job_topic

#: Largest sequence a query may name: what a JavaScript number holds exactly.
LARGEST_SEQUENCE = 2**53 - 1


def jobs_blueprint(services: Services) -> Blueprint:
    """The routes of the jobs namespace."""
    routes = Blueprint("jobs", __name__, url_prefix="/api/jobs")

    @routes.get(f"/<{ID}:job_id>")
    def show(job_id: str) -> Response:
        topic = job_topic(job_id)
        grant(services, topic)
        snapshot = services.ledger.read(topic)
        if not snapshot.events:
            raise RequestRefused("not-found", "no such job")
        etag = f'"{snapshot.epoch}-{snapshot.sequence}"'
        if request.if_none_match.contains_weak(etag.strip('"')):  # a proxy that compresses makes it weak
            return Response(status=304, headers={"ETag": etag})
        return json_text(snapshot.events[-1].payload, headers={"ETag": etag})

    @routes.get("")
    def list_of_brand() -> Response:
        topic = brand_topic(request.args.get("brandId", ""))
        grant(services, topic)
        found = (services.ledger.job(job_id) for job_id in services.ledger.jobs_of(topic.id))
        return json_of(JobsPage(jobs=[job for job in found if job]))

    @routes.get(f"/<{ID}:job_id>/history")
    def history(job_id: str) -> Response:
        if not is_last_segment("history"):
            return show(f"{job_id}/history")
        topic = job_topic(job_id)
        grant(services, topic)
        since = number_argument("since", 0, LARGEST_SEQUENCE)
        snapshot = services.ledger.history(topic)
        if not snapshot.events:
            raise RequestRefused("not-found", "no such job")
        events = [e for e in map(_update, snapshot.events) if (e.sequence or 0) > since]
        page = JobHistory(events=events, sequence=snapshot.sequence, epoch=snapshot.epoch)
        return json_of(page)

    @routes.post(f"/<{ID}:job_id>/cancel")
    def cancel(job_id: str) -> Response:
        identity = grant(services, job_topic(job_id))
        no_body()
        cancelled = services.jobs.cancel(job_id)
        audit.note("cancel", user=identity.user, topic=job_topic(job_id).room)
        return json_of(cancelled, 202)

    return routes


def _update(event: StoredEvent) -> JobStatusUpdate:
    return JobStatusUpdate.model_validate_json(event.payload)
