"""The application factory: settings in, this deployment's Flask app and its server out."""

from __future__ import annotations

from typing import Final

from jobcast.celery import make_celery
from jobcast.celery.queue import TaskQueue
from jobcast.flask import app as library
from jobcast.flask.app import Web
from jobcast.flask.openapi import Description
from jobcast.models import WireModel
from web.examples import examples_blueprint
from web.publishing import Publishing
from web.request_models import PublishForm, SyncForm
from web.routes import ROUTES, publishing_blueprint
from web.settings import WebSettings

FORMS: Final[dict[str, tuple[type[WireModel], str]]] = {
    "PublishRequest": (PublishForm, "calendar"),
    "SyncRequest": (SyncForm, "export"),
}


def create_app(settings: WebSettings) -> Web:
    """Wire everything together; nothing is connected or started yet."""
    queue = TaskQueue(make_celery(settings))
    web = library.create_app(
        settings,
        name="web",
        max_body_bytes=settings.jobcast_max_body_bytes,
        tasks=queue,
        more=Description(ROUTES, FORMS),
    )
    publishing = Publishing(web.server.ledger, queue)
    most = settings.jobcast_csv_max_bytes
    web.app.register_blueprint(publishing_blueprint(web.server.services, publishing, most))
    web.app.register_blueprint(examples_blueprint())
    return web
