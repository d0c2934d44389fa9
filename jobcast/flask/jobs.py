"""``/api/jobs``: the current state, what came before, and what can be done."""

from __future__ import annotations

from flask import Blueprint, Response, request

from jobcast.flask.requests import (
    FORM,
    body_as,
    caller,
    form_as,
    grant,
    json_of,
    json_text,
    no_body,
    number_argument,
    uploaded_text,
)
from jobcast.ledger import StoredEvent
from jobcast.models import JobHistory, JobsPage, JobStatusUpdate, PublishRequest
from jobcast.server import audit
from jobcast.server.authorization import Identity, RequestRefused
from jobcast.server.services import Services
from jobcast.topics import brand_topic, job_topic
from web.request_models import PublishForm

#: Largest sequence a query may name: what a JavaScript number holds exactly.
LARGEST_SEQUENCE = 2**53 - 1


def jobs_blueprint(services: Services) -> Blueprint:
    """The routes of the jobs namespace."""
    routes = Blueprint("jobs", __name__, url_prefix="/api/jobs")

    @routes.get("/<job_id>")
    def show(job_id: str) -> Response:
        topic = job_topic(job_id)
        grant(services, topic)
        snapshot = services.ledger.read(topic)
        if not snapshot.events:
            raise RequestRefused("not-found", "no such job")
        etag = f'"{snapshot.epoch}-{snapshot.sequence}"'
        if etag in (given.strip() for given in request.headers.get("If-None-Match", "").split(",")):
            return Response(status=304, headers={"ETag": etag})
        return json_text(snapshot.events[-1].payload, headers={"ETag": etag})

    @routes.get("")
    def list_of_brand() -> Response:
        topic = brand_topic(request.args.get("brandId", ""))
        grant(services, topic)
        found = (services.ledger.job(job_id) for job_id in services.ledger.jobs_of(topic.id))
        return json_of(JobsPage(jobs=[job for job in found if job]))

    @routes.get("/<job_id>/history")
    def history(job_id: str) -> Response:
        topic = job_topic(job_id)
        grant(services, topic)
        since = number_argument("since", 0, LARGEST_SEQUENCE)
        snapshot = services.ledger.history(topic)
        if not snapshot.events:
            raise RequestRefused("not-found", "no such job")
        events = [e for e in map(_update, snapshot.events) if (e.sequence or 0) > since]
        page = JobHistory(events=events, sequence=snapshot.sequence, epoch=snapshot.epoch)
        return json_of(page)

    @routes.post("/publish")
    def publish() -> Response:
        identity = caller(services)
        if request.mimetype == FORM:
            return _accepted(_publish_calendar(services, identity), identity)
        body = body_as(PublishRequest)
        _check_owner(services, identity, body.user_id, body.brand_id)
        posts = [post.model_dump(mode="json") for post in body.posts]
        job = services.jobs.publish(
            body.user_id, body.brand_id, {"posts": posts}, requires_approval=body.requires_approval
        )
        return _accepted(job, identity)

    @routes.post("/<job_id>/approve")
    def approve(job_id: str) -> Response:
        identity = grant(services, job_topic(job_id))
        no_body()
        approved = services.jobs.approve(job_id, identity.user)
        audit.note("approve", user=identity.user, topic=f"job:{job_id}")
        return json_of(approved, 202)

    @routes.post("/<job_id>/cancel")
    def cancel(job_id: str) -> Response:
        identity = grant(services, job_topic(job_id))
        no_body()
        cancelled = services.jobs.cancel(job_id)
        audit.note("cancel", user=identity.user, topic=f"job:{job_id}")
        return json_of(cancelled, 202)

    return routes


def _publish_calendar(services: Services, identity: Identity) -> JobStatusUpdate:
    """A CSV content calendar, sent as a form with brandId, userId, requiresApproval and calendar."""
    form = form_as(PublishForm, "calendar")
    _check_owner(services, identity, form.user_id, form.brand_id)
    content = {"calendar_csv": uploaded_text("calendar", services.settings.jobcast_csv_max_bytes)}
    approval = form.requires_approval == "true"
    return services.jobs.publish(form.user_id, form.brand_id, content, requires_approval=approval)


def _check_owner(services: Services, identity: Identity, user_id: str, brand_id: str) -> None:
    """With a key, a job belongs to the token's user, and its brand is one of the token's."""
    if services.authenticator.is_open or identity.is_admin:
        return
    if user_id != identity.user or brand_id not in identity.brands:
        raise RequestRefused("forbidden", "this user or brand is not the token's")


def _accepted(job: JobStatusUpdate, identity: Identity) -> Response:
    audit.note("publish", user=identity.user, topic=f"job:{job.job_id}")
    return json_of(job, 202, {"Location": f"/api/jobs/{job.job_id}"})


def _update(event: StoredEvent) -> JobStatusUpdate:
    return JobStatusUpdate.model_validate_json(event.payload)
