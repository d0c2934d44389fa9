"""``/api/analytics``: the syncs of a brand."""

from __future__ import annotations

from flask import Blueprint, Response, request

from jobcast.flask.requests import FORM, body_as, check_size, form_as, grant, json_of, uploaded_text
from jobcast.models import AnalyticsEvent, AnalyticsPage, SyncAccepted, SyncRequest
from jobcast.server import audit
from jobcast.server.services import Services
from jobcast.topics import brand_topic
from web.request_models import SyncForm


def analytics_blueprint(services: Services) -> Blueprint:
    """The routes of the analytics namespace."""
    routes = Blueprint("analytics", __name__, url_prefix="/api/analytics")

    @routes.get("/<brand_id>")
    def show(brand_id: str) -> Response:
        topic = brand_topic(brand_id)
        grant(services, topic)
        snapshot = services.ledger.history(topic)
        events = [AnalyticsEvent.model_validate_json(event.payload) for event in snapshot.events]
        page = AnalyticsPage(
            current_progress=events[-1].data if events else None,
            events=events,
            sequence=snapshot.sequence,
            epoch=snapshot.epoch,
        )
        return json_of(page)

    @routes.post("/<brand_id>/sync")
    def sync(brand_id: str) -> Response:
        identity = grant(services, brand_topic(brand_id))
        platform, user_id, export = _sync_request(services.settings.jobcast_csv_max_bytes)
        owner = user_id if services.authenticator.is_open or identity.is_admin else identity.user
        job = services.jobs.sync(owner, brand_id, platform, export)
        audit.note("sync", user=identity.user, topic=f"job:{job.job_id}", brand=brand_id)
        accepted = SyncAccepted(job_id=job.job_id, sync_id=job.job_id)
        return json_of(accepted, 202, {"Location": f"/api/jobs/{job.job_id}"})

    return routes


def _sync_request(most: int) -> tuple[str, str, str]:
    """Platform, user and CSV export, as a multipart form or as JSON with the export as text."""
    if request.mimetype == FORM:
        form = form_as(SyncForm, "export")
        return form.platform, form.user_id, uploaded_text("export", most)
    body = body_as(SyncRequest)
    check_size("export", len(body.export.encode(errors="replace")), most)
    return body.platform, body.user_id, body.export
