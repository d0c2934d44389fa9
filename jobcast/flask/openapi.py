"""OpenAPI and AsyncAPI documents, generated from the wire models and the tables below."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic.json_schema import models_json_schema

from jobcast import __version__, models
from jobcast.models import WireModel
from jobcast.server import event_models as arguments
from jobcast.topics import ID_PATTERN, KINDS, NOTIFICATION_READ, NOTIFICATIONS_CLEARED

Document = dict[str, Any]

_REF: Final = "#/components/schemas/{model}"
_MODELS: Final[tuple[type[WireModel], ...]] = (
    models.JobStatusUpdate,
    models.Notification,
    models.AnalyticsEvent,
    models.NotificationsRead,
    models.NotificationsCleared,
    models.ServerHello,
    models.ServerConfig,
    models.ServerRestarting,
    models.Subscribed,
    models.ErrorDetail,
    models.NotificationsPage,
    models.AnalyticsPage,
    models.JobsPage,
    models.JobHistory,
    models.PublishRequest,
    models.SyncAccepted,
    models.Problem,
    models.ReadRequest,
    models.UnreadCount,
    models.SyncRequest,
    arguments.JobArgument,
    arguments.UserArgument,
    arguments.BrandArgument,
    arguments.MarkReadArgument,
)
#: Method, path, what it does, query, body, status, answer.
Route = tuple[str, str, str, dict[str, str], str, int, str]
_ROUTES: Final[tuple[Route, ...]] = (
    ("get", "/api/jobs/{jobId}", "The current state of a job.", {}, "", 200, "JobStatusUpdate"),
    ("get", "/api/jobs", "Jobs of a brand, newest first.", {"brandId": "id!"}, "", 200, "JobsPage"),
    ("get", "/api/jobs/{jobId}/history", "What is kept of a job.", {"since": "int"}, "", 200, "JobHistory"),
    ("post", "/api/jobs/{jobId}/cancel", "Stop a job.", {}, "", 202, "JobStatusUpdate"),
    (
        *("get", "/api/notifications/{userId}", "A user's inbox."),
        *({"since": "int", "limit": "int"}, "", 200, "NotificationsPage"),
    ),
    ("post", "/api/notifications/{userId}/read", "Mark as read.", {}, "ReadRequest", 200, "UnreadCount"),
    ("delete", "/api/notifications/{userId}", "Empty the inbox.", {}, "", 204, ""),
    ("get", "/api/analytics/{brandId}", "A brand's syncs.", {}, "", 200, "AnalyticsPage"),
    ("get", "/api/config", "What a client should know.", {}, "", 200, "ServerConfig"),
)
#: Namespace → events a client sends; what it is sent stands in the table of topics.
_CLIENT_EVENTS: Final[dict[str, dict[str, type[WireModel]]]] = {
    "/jobs": {
        "subscribe-job": arguments.JobArgument,
        "unsubscribe-job": arguments.JobArgument,
        "cancel-job": arguments.JobArgument,
    },
    "/notifications": {
        "subscribe-user": arguments.UserArgument,
        "unsubscribe-user": arguments.UserArgument,
        "mark-read": arguments.MarkReadArgument,
        "clear-notifications": arguments.UserArgument,
    },
    "/analytics": {
        "subscribe-brand": arguments.BrandArgument,
        "unsubscribe-brand": arguments.BrandArgument,
    },
}


@dataclass(frozen=True, slots=True)
class Description:
    """An application's own routes, to be described beside ours.

    ``forms``: for the name of a body, the same as a multipart form: its text fields, and its file's name.
    """

    routes: tuple[Route, ...] = ()
    forms: Mapping[str, tuple[type[WireModel], str]] = field(default_factory=dict)


def openapi(more: Description | None = None, prefix: str = "") -> Document:
    """The HTTP routes as OpenAPI 3.1, those of the application as well."""
    more = more or Description()
    paths: Document = {}
    for method, path, text, query, body, status, answer in (*_ROUTES, *more.routes):
        operation = _operation(path, text, query, status, answer)
        if body:
            operation["requestBody"] = {"required": True, "content": _contents(body, more.forms.get(body))}
        paths.setdefault(prefix + path, {})[method] = operation
    return {
        "openapi": "3.1.0",
        "info": {"title": "Jobcast", "version": __version__},
        "paths": paths,
        "components": {
            "schemas": _schemas(),
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
        "security": [{}, {"bearer": []}],
    }


def asyncapi() -> Document:
    """The Socket.IO namespaces as AsyncAPI 3.0."""
    channels = {name.strip("/") or "root": _channel(name) for name in (*_CLIENT_EVENTS, "/", "/default")}
    operations: Document = {}
    for name, channel in channels.items():
        for message in channel["messages"]:
            action = "receive" if message in _CLIENT_EVENTS.get(channel["address"], ()) else "send"
            operations[f"{name}-{message.replace(':', '-')}"] = {
                "action": action,
                "channel": {"$ref": f"#/channels/{name}"},
                "messages": [{"$ref": f"#/channels/{name}/messages/{message}"}],
            }
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Jobcast", "version": __version__},
        "channels": channels,
        "operations": operations,
        "components": {"schemas": _schemas()},
    }


def _operation(path: str, text: str, query: dict[str, str], status: int, answer: str) -> Document:
    return {
        "summary": text,
        "parameters": [*_path_parameters(path), *map(_query_parameter, query.items())],
        "responses": {str(status): _answer(answer), "default": _problem()},
    }


def _path_parameters(path: str) -> list[Document]:
    names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    schema = {"type": "string", "pattern": ID_PATTERN}
    return [{"name": name, "in": "path", "required": True, "schema": schema} for name in names]


def _query_parameter(parameter: tuple[str, str]) -> Document:
    name, kind = parameter
    is_id = kind.startswith("id")
    schema = {"type": "string", "pattern": ID_PATTERN} if is_id else {"type": "integer", "minimum": 0}
    return {"name": name, "in": "query", "required": kind.endswith("!"), "schema": schema}


def _answer(model: str) -> Document:
    if not model:
        return {"description": "Done."}
    return {"description": model, "content": {"application/json": {"schema": _ref(model)}}}


def _problem() -> Document:
    content = {"application/problem+json": {"schema": _ref("Problem")}}
    return {"description": "A problem document (RFC 9457).", "content": content}


def _contents(model: str, form: tuple[type[WireModel], str] | None) -> Document:
    contents: Document = {"application/json": {"schema": _ref(model)}}
    if form is not None:
        contents["multipart/form-data"] = {"schema": _form(*form)}
    return contents


def _form(fields: type[WireModel], file: str) -> Document:
    form: Document = fields.model_json_schema(by_alias=True)
    form["properties"][file] = {"type": "string", "contentMediaType": "text/csv"}
    form["required"].append(file)
    return form


def _channel(namespace: str) -> Document:
    sent = {"server:hello": "ServerHello", "server:restarting": "ServerRestarting"}
    kinds = {kind.namespace: kind for kind in KINDS.values()}
    if namespace in kinds:
        sent = {
            "subscribed": "Subscribed",
            "subscription-error": "ErrorDetail",
            **_topic_events(kinds[namespace].event),
        }
    messages: Document = {event: {"payload": _ref(model)} for event, model in sent.items()}
    for event, model in _CLIENT_EVENTS.get(namespace, {}).items():
        messages[event] = {"payload": _argument(model)}
    return {"address": namespace, "messages": messages}


def _argument(model: type[WireModel]) -> Document:
    """An object, or the bare id where that is all there is to say."""
    if model is arguments.MarkReadArgument:
        return _ref(model.__name__)
    return {"oneOf": [{"type": "string", "pattern": ID_PATTERN}, _ref(model.__name__)]}


def _topic_events(event: str) -> dict[str, str]:
    named = {
        "job:status-changed": {"job:status-changed": "JobStatusUpdate"},
        "analytics:sync-progress": {"analytics:sync-progress": "AnalyticsEvent"},
        "notification:received": {
            "notification:received": "Notification",
            NOTIFICATION_READ: "NotificationsRead",
            NOTIFICATIONS_CLEARED: "NotificationsCleared",
        },
    }
    return named[event]


def _ref(model: str) -> Document:
    return {"$ref": _REF.format(model=model)}


def _schemas() -> Document:
    _, document = models_json_schema(
        [(model, "validation") for model in _MODELS], by_alias=True, ref_template=_REF
    )
    definitions: Document = document["$defs"]
    return definitions
