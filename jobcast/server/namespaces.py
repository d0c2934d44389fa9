"""The four namespaces. Each event is parsed, handed on, and answered by an ack or a refusal."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from typing import Any, ClassVar, Final

from socketio import Namespace
from socketio.exceptions import ConnectionRefusedError as ConnectionRefused

from jobcast import __version__
from jobcast.errors import InvalidPayload, LedgerRefused, LedgerUnavailable, QueueUnavailable
from jobcast.models import ServerHello
from jobcast.server import audit
from jobcast.server.authorization import Identity
from jobcast.server.connection_limits import retry_ms
from jobcast.server.errors import Conflict, RequestRefused
from jobcast.server.event_models import ids_to_mark
from jobcast.server.services import Services
from jobcast.server.sessions import Sessions
from jobcast.server.settings import ServerSettings
from jobcast.server.socketio.acks import ack_was_asked
from jobcast.server.subscribing import Subscribe, Subscriber, parse_subscribe
from jobcast.topics import BRAND, JOB, LONGEST_ID, USER, Kind, Topic, brand_topic, job_topic, user_topic

logger = logging.getLogger(__name__)

Answer = dict[str, Any]
#: The method that every namespace of topics has for its subscribe event.
_SUBSCRIBE: Final = "subscribe"


class BaseNamespace(Namespace):  # type: ignore[misc]  # untyped library
    """Identity at connect; events by table; no exception of a handler reaches the client or the log."""

    #: Event name → method name.
    events: ClassVar[dict[str, str]] = {}

    def __init__(
        self, namespace: str, services: Services, subscriber: Subscriber, sessions: Sessions
    ) -> None:
        super().__init__(namespace)
        self.services = services
        self.subscriber = subscriber
        self.sessions = sessions

    def trigger_event(self, event: str, *args: Any) -> Any:
        """Only the library's own connect and disconnect, and the events of the table.

        A python-socketio namespace, not Flask-SocketIO's: making its request context takes longer than all
        that is done in it, and thousands connect at once.
        """
        if event in ("connect", "disconnect"):
            if self.server.manager.is_connected(args[0], self.namespace):
                return None  # a client that calls its event so
            return self._connect(*args) if event == "connect" else self._disconnect(*args)
        if event not in self.events:
            return None
        return self._answered(self.events[event], *args)

    def _connect(self, sid: str, environ: dict[str, Any], auth: Any = None) -> None:
        try:
            token = auth.get("token") if isinstance(auth, dict) else None
            self.sessions.open(self.namespace, sid, self.services.authenticator.identify(token, environ))
        except RequestRefused as refused:
            ids = {"sid": sid, "namespace": self.namespace, "reason": refused.reason}
            audit.refused(refused.code, environ, **ids)
            data = {"code": refused.code} | _retry_after(refused)
            raise ConnectionRefused(refused.message, data) from None
        audit.note("connect", environ, user=self.identity(sid).user, sid=sid, namespace=self.namespace)
        self.greet(sid)

    def _disconnect(self, sid: str, reason: str = "") -> None:
        audit.note("disconnect", self.environ(sid), sid=sid, namespace=self.namespace, reason=str(reason))
        self.sessions.close(sid)
        self.subscriber.forget(sid)

    def greet(self, sid: str) -> None:
        """What a namespace says first; nothing, usually."""

    def identity(self, sid: str) -> Identity:
        try:
            return self.sessions[sid].identity
        except KeyError:  # another thread has just closed it
            raise RequestRefused("unavailable", "the client has gone") from None

    def _answered(self, name: str, sid: str, *args: Any) -> Answer:
        """The ack: ``{"ok": true, …}`` or ``{"ok": false, "error": {code, message}}``."""
        argument = args[0] if args else None
        try:
            self._check_pace(sid)
            answer: Answer = getattr(self, name)(sid, argument)
            return {"ok": True, **answer}
        except RequestRefused as error:
            refused = error
        except InvalidPayload as error:
            refused = RequestRefused(error.code, str(error))
        except Conflict as conflict:
            refused = RequestRefused("invalid-payload", conflict.message)
        except QueueUnavailable as error:
            refused = RequestRefused(error.code, str(error))
        except LedgerUnavailable as error:
            refused = RequestRefused(error.code, error.reason)
        except LedgerRefused:
            refused = RequestRefused("unavailable", "the store does not take this")
        return self._refusal(sid, argument, refused, is_told=name == _SUBSCRIBE or not ack_was_asked())

    def _check_pace(self, sid: str) -> None:
        if too_early := self.sessions.too_early(sid):
            raise RequestRefused("rate-limited", "too many messages", too_early)

    def _refusal(self, sid: str, argument: Any, refused: RequestRefused, *, is_told: bool) -> Answer:
        """The ack; ``is_told``: and the event, which clients that send again by themselves alone hear."""
        if sid not in self.sessions:
            return {}  # it was closed while its event waited for the store
        audit.refused(refused.code, self.environ(sid), **self.who(sid), topic=self.topic_in(argument))
        error = {"code": refused.code, "message": refused.message} | _retry_after(refused)
        if is_told:
            self.reply(sid, "subscription-error", error | self.ids_in(argument))
        return {"ok": False, "error": error}

    def ids_in(self, argument: Any) -> Answer:
        """The id of a refused event, so that its sender knows which one it was."""
        return {}

    def who(self, sid: str) -> dict[str, str | None]:
        """A client in the audit log."""
        return {"user": self.identity(sid).user, "sid": sid}

    def environ(self, sid: str) -> dict[str, Any]:
        """The request a client came with."""
        return self.server.get_environ(sid, self.namespace) or {}

    def topic_in(self, argument: Any) -> str | None:
        """The room of a refused event, if it named one."""
        return None

    def reply(self, sid: str, event: str, data: Answer) -> None:
        """Emit to one client of this process, without publishing it to the others."""
        self.server.emit(event, data, namespace=self.namespace, to=sid, ignore_queue=True)


class TopicNamespace(BaseNamespace):
    """A namespace whose clients follow one kind of topic."""

    def __init__(
        self,
        kind: Kind,
        topic_of: Callable[[str], Topic],
        services: Services,
        subscriber: Subscriber,
        sessions: Sessions,
    ) -> None:
        super().__init__(kind.namespace, services, subscriber, sessions)
        self._kind = kind
        self._topic_of = topic_of

    def subscribe(self, sid: str, argument: Any) -> Answer:
        wanted, identity = self._wanted(argument), self.identity(sid)
        answer = self.subscriber.subscribe(sid, identity, wanted)
        audit.note("subscribe", self.environ(sid), user=identity.user, sid=sid, topic=wanted.topic.room)
        return answer

    def unsubscribe(self, sid: str, argument: Any) -> Answer:
        topic = self._wanted(argument).topic
        self.subscriber.unsubscribe(sid, topic)
        return {self._kind.id_field: topic.id}

    def ids_in(self, argument: Any) -> Answer:
        field = self._kind.id_field
        value = argument.get(field) if isinstance(argument, dict) else argument
        return {field: value[:LONGEST_ID]} if isinstance(value, str) else {}

    def topic_in(self, argument: Any) -> str | None:
        with contextlib.suppress(InvalidPayload):
            return self._wanted(argument).topic.room
        return None

    def _wanted(self, argument: Any) -> Subscribe:
        return parse_subscribe(argument, self._kind.id_field, self._topic_of)

    def _granted(self, sid: str, argument: Any) -> Topic:
        """The topic an event is about, if its sender may see it."""
        topic = self._wanted(argument).topic
        self.services.authorizer.check(self.identity(sid), topic)
        return topic


class JobsNamespace(TopicNamespace):
    """``/jobs``: the progress of single jobs."""

    events: ClassVar = {
        "subscribe-job": "subscribe",
        "unsubscribe-job": "unsubscribe",
        "cancel-job": "cancel",
    }

    def __init__(self, services: Services, subscriber: Subscriber, sessions: Sessions) -> None:
        super().__init__(JOB, job_topic, services, subscriber, sessions)

    def cancel(self, sid: str, argument: Any) -> Answer:
        job_id = self._granted(sid, argument).id
        cancelled = self.services.jobs.cancel(job_id)
        audit.note("cancel", self.environ(sid), **self.who(sid), topic=job_topic(job_id).room)
        return {"jobId": job_id, "status": cancelled.status}


class NotificationsNamespace(TopicNamespace):
    """``/notifications``: one inbox per user, shared by all of the user's tabs and devices."""

    events: ClassVar = {
        "subscribe-user": "subscribe",
        "unsubscribe-user": "unsubscribe",
        "mark-read": "mark_read",
        "clear-notifications": "clear",
    }

    def __init__(self, services: Services, subscriber: Subscriber, sessions: Sessions) -> None:
        super().__init__(USER, user_topic, services, subscriber, sessions)

    def mark_read(self, sid: str, argument: Any) -> Answer:
        user_id = self._granted(sid, argument).id
        ids = ids_to_mark(argument)
        return {"userId": user_id, "unreadCount": self.services.ledger.mark_read(user_id, ids)}

    def clear(self, sid: str, argument: Any) -> Answer:
        user_id = self._granted(sid, argument).id
        self.services.ledger.clear(user_id)
        return {"userId": user_id, "unreadCount": 0}


class AnalyticsNamespace(TopicNamespace):
    """``/analytics``: the syncs of a brand."""

    events: ClassVar = {"subscribe-brand": "subscribe", "unsubscribe-brand": "unsubscribe"}

    def __init__(self, services: Services, subscriber: Subscriber, sessions: Sessions) -> None:
        super().__init__(BRAND, brand_topic, services, subscriber, sessions)


class DefaultNamespace(BaseNamespace):
    """``/`` and ``/default``: what concerns every client; says hello."""

    def greet(self, sid: str) -> None:
        # After the CONNECT packet, which goes out when the connect handler has returned.
        self.server.start_background_task(
            self.reply, sid, "server:hello", hello(self.services.settings).wire()
        )


class GreetingNamespace(Namespace):  # type: ignore[misc]  # untyped library
    """``/`` of somebody else's application: everybody may come, and is told what server this is."""

    def __init__(self, namespace: str, settings: ServerSettings) -> None:
        super().__init__(namespace)
        self._settings = settings

    def trigger_event(self, event: str, *args: Any) -> Any:
        """Connecting alone; an application's own handlers are asked before this."""
        if event == "connect":
            self.server.start_background_task(self._greet, args[0])
            return None
        return None if event == "disconnect" else self.server.not_handled

    def _greet(self, sid: str) -> None:
        to = {"namespace": self.namespace, "to": sid, "ignore_queue": True}
        self.server.emit("server:hello", hello(self._settings).wire(), **to)


def _retry_after(refused: RequestRefused) -> Answer:
    return {} if refused.retry_after is None else {"retryAfterMs": retry_ms(refused.retry_after)}


def hello(settings: ServerSettings) -> ServerHello:
    """What a client should know of this server."""
    return ServerHello(
        version=__version__,
        debounce_ms=settings.socketio_debounce_ms,
        reconnection_delay=settings.socketio_reconnection_delay,
        reconnection_delay_max=settings.socketio_reconnection_delay_max,
    )
