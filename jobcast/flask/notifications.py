"""``/api/notifications``: one user's inbox."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response
from pydantic import ValidationError

from jobcast.errors import InvalidPayload
from jobcast.flask.ids import ID
from jobcast.flask.jobs import LARGEST_SEQUENCE
from jobcast.flask.requests import body_as, grant, json_of, number_argument
from jobcast.models import Notification, NotificationsPage, ReadRequest, UnreadCount
from jobcast.server.services import Services
from jobcast.topics import user_topic

#: Notifications one answer holds at most, and unless told.
MOST = 100
USUAL = 50


def notifications_blueprint(services: Services) -> Blueprint:
    """The routes of the notifications namespace."""
    routes = Blueprint("notifications", __name__, url_prefix="/api/notifications")

    @routes.get(f"/<{ID}:user_id>")
    def inbox(user_id: str) -> Response:
        topic = user_topic(user_id)
        grant(services, topic)
        since = number_argument("since", 0, LARGEST_SEQUENCE)
        limit = number_argument("limit", USUAL, MOST)
        snapshot = services.ledger.read(topic)
        found = [_stored(event.decoded()) for event in snapshot.events]
        newer = [n for n in found if (n.sequence or 0) > since]
        page = NotificationsPage(
            notifications=newer[-limit:] if limit else [],
            unread_count=sum(not n.read for n in found),
            sequence=snapshot.sequence,
            epoch=snapshot.epoch,
        )
        return json_of(page)

    @routes.post(f"/<{ID}:user_id>/read")
    def mark_read(user_id: str) -> Response:
        grant(services, user_topic(user_id))
        body = body_as(ReadRequest)
        if body.ids is None and not body.all:
            raise InvalidPayload("expected ids, or all")
        left = services.ledger.mark_read(user_id, None if body.all else body.ids)
        return json_of(UnreadCount(unread_count=left))

    @routes.delete(f"/<{ID}:user_id>")
    def clear(user_id: str) -> Response:
        grant(services, user_topic(user_id))
        services.ledger.clear(user_id)
        return Response(status=204)

    return routes


def _stored(payload: dict[str, Any]) -> Notification:
    """As it was stored; an older release took any ``actionUrl``."""
    try:
        return Notification.model_validate(payload)
    except ValidationError:
        return Notification.model_validate({**payload, "actionUrl": None})
