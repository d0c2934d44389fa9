"""The routes that start this deployment's work, beside those of ``jobcast.flask``."""

from __future__ import annotations

from typing import Final

from flask import Blueprint, Response, request, url_for

from jobcast.flask.ids import ID
from jobcast.flask.openapi import Route
from jobcast.flask.requests import body_as, caller, grant, json_of, no_body
from jobcast.models import JobStatusUpdate, PublishRequest, SyncAccepted, SyncRequest
from jobcast.server import audit
from jobcast.server.authorization import Identity
from jobcast.server.errors import RequestRefused
from jobcast.server.services import Services
from jobcast.topics import brand_topic, job_topic
from web.publishing import Publishing
from web.request_models import PublishForm, SyncForm
from web.uploads import FORM, check_size, form_as, uploaded_text

#: Bytes that JSON may take for one of a text: ``\\u000b``.
ESCAPED: Final = 6
#: Values in the JSON of a publish request: a thousand posts with all they may have.
PUBLISH_VALUES: Final = 16_000
#: For the OpenAPI document.
ROUTES: Final[tuple[Route, ...]] = (
    ("post", "/api/jobs/publish", "Publish posts.", {}, "PublishRequest", 202, "JobStatusUpdate"),
    ("post", "/api/jobs/{jobId}/approve", "Let a waiting job go on.", {}, "", 202, "JobStatusUpdate"),
    ("post", "/api/analytics/{brandId}/sync", "Sync an export.", {}, "SyncRequest", 202, "SyncAccepted"),
)


def publishing_blueprint(services: Services, publishing: Publishing, most: int) -> Blueprint:
    """Publish, approve, sync; a CSV file may have ``most`` bytes."""
    routes = Blueprint("publishing", __name__, url_prefix="/api")

    @routes.post("/jobs/publish")
    def publish() -> Response:
        identity = caller(services)
        if request.mimetype == FORM:
            return _accepted(_publish_calendar(services, publishing, most, identity), identity)
        body = body_as(PublishRequest, most_bytes=ESCAPED * most, most_values=PUBLISH_VALUES)
        _check_owner(services, identity, body.user_id, body.brand_id)
        posts = [post.model_dump(mode="json") for post in body.posts]
        job = publishing.publish(
            body.user_id, body.brand_id, {"posts": posts}, requires_approval=body.requires_approval
        )
        return _accepted(job, identity)

    @routes.post(f"/jobs/<{ID}:job_id>/approve")
    def approve(job_id: str) -> Response:
        identity = grant(services, job_topic(job_id))
        no_body()
        approved = publishing.approve(job_id, identity.user)
        audit.note("approve", user=identity.user, topic=job_topic(job_id).room)
        return json_of(approved, 202)

    @routes.post(f"/analytics/<{ID}:brand_id>/sync")
    def sync(brand_id: str) -> Response:
        identity = grant(services, brand_topic(brand_id))
        platform, user_id, export = _sync_request(most)
        owner = user_id if services.authenticator.is_open or identity.is_admin else identity.user
        job = publishing.sync(owner, brand_id, platform, export)
        audit.note("sync", user=identity.user, topic=job_topic(job.job_id).room, brand=brand_id)
        accepted = SyncAccepted(job_id=job.job_id, sync_id=job.job_id)
        return json_of(accepted, 202, {"Location": _location(job.job_id)})

    return routes


def _publish_calendar(
    services: Services, publishing: Publishing, most: int, identity: Identity
) -> JobStatusUpdate:
    """A CSV content calendar, sent as a form with brandId, userId, requiresApproval and calendar."""
    form = form_as(PublishForm, "calendar")
    _check_owner(services, identity, form.user_id, form.brand_id)
    content = {"calendar_csv": uploaded_text("calendar", most)}
    approval = form.requires_approval == "true"
    return publishing.publish(form.user_id, form.brand_id, content, requires_approval=approval)


def _check_owner(services: Services, identity: Identity, user_id: str, brand_id: str) -> None:
    """With a key, a job belongs to the token's user, and its brand is one of the token's."""
    if services.authenticator.is_open or identity.is_admin:
        return
    if user_id != identity.user or brand_id not in identity.brands:
        raise RequestRefused("forbidden", "this user or brand is not the token's")


def _accepted(job: JobStatusUpdate, identity: Identity) -> Response:
    audit.note("publish", user=identity.user, topic=job_topic(job.job_id).room)
    return json_of(job, 202, {"Location": _location(job.job_id)})


def _sync_request(most: int) -> tuple[str, str, str]:
    """Platform, user and CSV export, as a multipart form or as JSON with the export as text."""
    if request.mimetype == FORM:
        form = form_as(SyncForm, "export")
        return form.platform, form.user_id, uploaded_text("export", most)
    body = body_as(SyncRequest, most_bytes=ESCAPED * most)
    check_size("export", len(body.export.encode(errors="replace")), most)
    return body.platform, body.user_id, body.export


def _location(job_id: str) -> str:
    return url_for("jobcast.jobs.show", job_id=job_id)
