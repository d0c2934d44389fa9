"""``/api/analytics``: the syncs of a brand."""

from __future__ import annotations

from flask import Blueprint, Response

from jobcast.flask.ids import ID
from jobcast.flask.requests import grant, json_of
from jobcast.models import AnalyticsEvent, AnalyticsPage
from jobcast.server.services import Services
from jobcast.topics import brand_topic


def analytics_blueprint(services: Services) -> Blueprint:
    """The routes of the analytics namespace."""
    routes = Blueprint("analytics", __name__, url_prefix="/api/analytics")

    @routes.get(f"/<{ID}:brand_id>")
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

    return routes
