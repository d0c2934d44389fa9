"""The ledger in Redis or Valkey: one Lua file for the writes, plain commands for the reads."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar, cast

import redis
from redis.commands.core import Script as AnyScript
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    MasterDownError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisClusterException,
    RedisError,
    ResponseError,
)

from jobcast import envelope
from jobcast.errors import LedgerRefused, LedgerUnavailable
from jobcast.ledger.cluster import Cluster
from jobcast.ledger.connection import connect
from jobcast.ledger.port import (
    BRAND_JOBS,
    LIVE_TTL,
    OWNERS,
    Appended,
    Entry,
    Ledger,
    Overdue,
    Snapshot,
    StoredEvent,
    after,
    new_epoch,
    newest_per_sync,
)
from jobcast.ledger.script import Script
from jobcast.payload import number
from jobcast.position import Position
from jobcast.topics import (
    BRAND,
    JOB,
    NOTIFICATION_READ,
    NOTIFICATIONS_CLEARED,
    USER,
    Topic,
    escaped,
    is_topic,
    job_topic,
    user_topic,
)

_SCRIPT: Final = (Path(__file__).parent / "ledger.lua").read_text()
_LEASES: Final = "jobcast:leases"
#: The job that a proof of the store stands for; nobody can follow it, as it has no state.
_PROOF: Final = "jobcast-proof"
_OWN_FIELDS: Final = frozenset(
    ["sequence", "epoch", "payload", "status", "attempt", "progress", "started", "lost", "cancel"]
)
#: Topics whose positions are asked for in one go; a web process follows thousands.
POSITIONS_AT_ONCE: Final = 500

_FORBIDDEN: Final = "ACL failure"
_PASSING: Final = ("MISCONF", "MASTERDOWN", "CLUSTERDOWN", "NOREPLICAS", "TRYAGAIN", "BUSY", _FORBIDDEN)
_KINDS: Final[tuple[tuple[type[Exception], str], ...]] = (
    (ReadOnlyError, "the store is read-only: a replica, or a primary that was demoted"),
    (MasterDownError, "the store is a replica that has lost its primary"),
    (OutOfMemoryError, "the store is full"),
    (BusyLoadingError, "the store is still loading its data"),
    (NoPermissionError, "the store's access rules (ACL) do not allow this user a command or a key"),
    (AuthenticationError, "the store refuses the user name or the password"),
)
_WORDS: Final = (
    ("access a channel", "the store's access rules (ACL) do not allow this user the channel"),
    (_FORBIDDEN, "the store's access rules (ACL) do not allow this user a command or a key"),
    ("MISCONF", "the store cannot write to its disk"),
    ("NOREPLICAS", "the store has too few replicas"),
)

P = ParamSpec("P")
R = TypeVar("R")


def _keys(topic: Topic) -> list[str]:
    """The five keys of a topic, in the order ``ledger.lua`` names them."""
    return [f"jobcast:{{{topic.room}}}:{k}" for k in ("state", "history", "inbox", "order", "unread")]


def _brand_key(brand_id: str) -> str:
    return f"jobcast:brand-jobs:{escaped(brand_id)}"


def _is_final(error: ResponseError) -> bool:
    """Whether the same command would be refused for ever; full, loading or read-only passes."""
    return type(error) is ResponseError and not str(error).startswith(_PASSING)


def _text(error: Exception) -> str:
    """What went wrong, and for a certificate which setting is about it."""
    text = str(error) or type(error).__name__
    return f"{text} (see JOBCAST_REDIS_CA)" if "CERTIFICATE_VERIFY_FAILED" in text else text


def _unavailable(error: Exception) -> LedgerUnavailable:
    """With a reason in words of ours: Redis' own name keys, users and hosts."""
    text = f"Redis: {_text(error)}"
    by_words = (reason for words, reason in _WORDS if words in text)
    by_kind = (reason for kind, reason in _KINDS if isinstance(error, kind))
    reason = next(by_words, None) or next(by_kind, None)
    return LedgerUnavailable(text, reason) if reason else LedgerUnavailable(text)


def _translate_errors(method: Callable[P, R]) -> Callable[P, R]:
    @functools.wraps(method)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return method(*args, **kwargs)
        except ResponseError as error:
            if _is_final(error):
                raise LedgerRefused(f"Redis: {error}") from error
            raise _unavailable(error) from error
        except (RedisError, RedisClusterException, OSError) as error:
            raise _unavailable(error) from error

    return wrapper


class RedisLedger(Ledger):
    """Keys, arguments and returns of the writes are described at the head of ``ledger.lua``."""

    def __init__(
        self,
        client: redis.Redis,
        channel: str,
        *,
        history: int = 100,
        retention: int = 86_400,
        per_topic: bool = False,
    ) -> None:
        super().__init__(history=history, retention=retention)
        self._redis = client
        self._again: Callable[[], Ledger] = lambda: self
        self._channel = functools.partial(envelope.channel_of, channel=channel, per_topic=per_topic)
        #: On a cluster the leases of all jobs are elsewhere than a job, so a lease takes a step of its own.
        self._is_cluster = isinstance(client, Cluster)
        script = _script(sharded=self._is_cluster and per_topic)
        self._script: Any = AnyScript(client, script) if self._is_cluster else Script(client, script)

    @classmethod
    def from_url(
        cls,
        url: str,
        channel: str = "flask-socketio",
        *,
        history: int = 100,
        retention: int = 86_400,
        per_topic: bool = False,
    ) -> RedisLedger:
        """A ledger with connections of its own; nothing is connected before the first verb.

        ``per_topic`` publishes each topic on a channel of its own instead of all on ``channel``.
        """
        made = cls(connect(url), channel, history=history, retention=retention, per_topic=per_topic)
        made._again = functools.partial(
            cls.from_url, url, channel, history=history, retention=retention, per_topic=per_topic
        )
        return made

    @_translate_errors
    def append(self, entry: Entry) -> Appended:
        if entry.lease > 0 and self._is_cluster:
            return self._append_leased(entry)
        lease = int(entry.lease * 1000)
        args: list[str | int] = [
            *("append", self._channel(entry.topic), envelope.head(entry.topic, entry.event)),
            *(entry.event, entry.body, new_epoch(), self._history, LIVE_TTL, self._retention),
            *(int(entry.mergeable), entry.status, entry.attempt or "", entry.retries),
            *(number(entry.progress), _expected(entry.expected)),
            "" if entry.expected_sequence is None else entry.expected_sequence,
            *(entry.inbox_id, int(entry.lost), lease),
        ]
        for name, value in entry.meta.items():
            args += [name, value]
        return self._write(entry.topic, args, [_LEASES] if lease else ())

    @_translate_errors
    def read(self, topic: Topic, since: int | None = None, epoch: str | None = None) -> Snapshot:
        if topic.kind is JOB and since is None:
            return self._read_state(topic)
        state, inbox, order, unread, history = self._load(topic)
        if not state.get("sequence"):
            return Snapshot()
        sequence, current_epoch = int(state["sequence"]), state["epoch"]
        missed = after(history, sequence, since) if since is not None else None
        if missed is not None and epoch == current_epoch:
            return Snapshot(sequence, current_epoch, recovered=True, events=missed)
        if topic.kind is USER:
            events = _inbox_events(order, inbox, unread)
        elif topic.kind is BRAND:
            events = newest_per_sync(history)
        else:
            events = [StoredEvent(topic.event, state["payload"])]
        return Snapshot(sequence, current_epoch, recovered=False, events=events)

    @_translate_errors
    def positions(self, topics: Sequence[Topic]) -> list[Position]:
        found: list[Position] = []
        for start in range(0, len(topics), POSITIONS_AT_ONCE):
            found += self._positions(topics[start : start + POSITIONS_AT_ONCE])
        return found

    @_translate_errors
    def advance_epoch(self, topic: Topic, epoch: str, seen: int) -> str | None:
        found = self._script(keys=_keys(topic), args=["advance", epoch, seen, new_epoch()])
        return cast(str, found) or None

    @_translate_errors
    def history(self, topic: Topic) -> Snapshot:
        state, _, _, _, history = self._load(topic)
        if not state.get("sequence"):
            return Snapshot()
        return Snapshot(int(state["sequence"]), state["epoch"], recovered=True, events=history)

    @_translate_errors
    def meta(self, topic: Topic) -> dict[str, str]:
        state = cast(dict[str, str], self._redis.hgetall(_keys(topic)[0]))
        return {name: value for name, value in state.items() if name not in _OWN_FIELDS}

    @_translate_errors
    def belongs_to(self, topic: Topic) -> dict[str, str]:
        values = cast(list[str | None], self._redis.hmget(_keys(topic)[0], OWNERS))
        return {name: value for name, value in zip(OWNERS, values, strict=True) if value is not None}

    @_translate_errors
    def unread(self, user_id: str) -> int:
        return self._redis.scard(_keys(user_topic(user_id))[4])

    @_translate_errors
    def mark_read(self, user_id: str, ids: Iterable[str] | None) -> int:
        head = self._inbox_head("read", user_id, NOTIFICATION_READ)
        wanted = ["*"] if ids is None else list(ids)
        return self._write(user_topic(user_id), [*head, *wanted]).unread

    @_translate_errors
    def clear(self, user_id: str) -> None:
        head = self._inbox_head("clear", user_id, NOTIFICATIONS_CLEARED)
        self._write(user_topic(user_id), head)

    @_translate_errors
    def request_cancel(self, job_id: str) -> None:
        key = _keys(job_topic(job_id))[0]
        if self._redis.exists(key):
            self._redis.hset(key, "cancel", "1")

    @_translate_errors
    def list_job(self, brand_id: str, job_id: str) -> None:
        key = _brand_key(brand_id)
        with self._redis.pipeline(transaction=False) as pipe:
            seconds, _ = self._redis.time()
            pipe.zadd(key, {job_id: seconds})
            pipe.zremrangebyrank(key, 0, -BRAND_JOBS - 1)
            pipe.expire(key, LIVE_TTL)
            pipe.execute()

    @_translate_errors
    def jobs_of(self, brand_id: str, limit: int = BRAND_JOBS) -> list[str]:
        return cast(list[str], self._redis.zrange(_brand_key(brand_id), 0, limit - 1, desc=True))

    @_translate_errors
    def touch(self, topics: Sequence[Topic], period: float) -> set[str]:
        rooms = [topic.room for topic in topics]
        self._script(keys=[_LEASES], args=["touch", int(period * 1000), *rooms])
        with self._redis.pipeline(transaction=False) as pipe:
            for topic in topics:
                pipe.hget(_keys(topic)[0], "cancel")
            flags = pipe.execute()
        return {room for room, flag in zip(rooms, flags, strict=True) if flag == "1"}

    @_translate_errors
    def overdue(self, limit: int = 1_000) -> list[Overdue]:
        rows = cast(list[list[Any]], self._script(keys=[_LEASES], args=["overdue", limit]))
        return [Overdue(Topic.parse(room), late / 1000) for room, late in rows if is_topic(room)]

    @_translate_errors
    def release(self, topic: Topic) -> None:
        self._redis.zrem(_LEASES, topic.room)

    def again(self) -> Ledger:
        return self._again()

    @_translate_errors
    def ping(self) -> None:
        self._redis.ping()

    @_translate_errors
    def prove(self, message: str) -> None:
        topic = job_topic(_PROOF)
        self._script(keys=[f"jobcast:{{{topic.room}}}:proof"], args=["prove", self._channel(topic), message])

    def close(self) -> None:
        self._redis.close()

    def _append_leased(self, entry: Entry) -> Appended:
        """The lease comes first, so that no job that has begun lacks one."""
        self.touch([entry.topic], entry.lease)
        appended = self.append(replace(entry, lease=0.0))
        if appended.outcome in ("terminal", "lost"):
            self.release(entry.topic)
        return appended

    def _write(self, topic: Topic, args: Sequence[str | int], more_keys: Sequence[str] = ()) -> Appended:
        answer = cast(list[Any], self._script(keys=[*_keys(topic), *more_keys], args=args))
        outcome, sequence, epoch, attempt, cancel, unread = answer
        return Appended(outcome, sequence, epoch, attempt, bool(cancel), unread)

    def _inbox_head(self, verb: str, user_id: str, event: str) -> list[str | int]:
        topic = user_topic(user_id)
        head = envelope.head(topic, event)
        return [verb, self._channel(topic), head, event, new_epoch(), self._history, LIVE_TTL]

    def _positions(self, topics: Sequence[Topic]) -> list[Position]:
        with self._redis.pipeline(transaction=False) as pipe:
            for topic in topics:
                pipe.hmget(_keys(topic)[0], "sequence", "epoch")
            return [_position(answer) for answer in pipe.execute(raise_on_error=False)]

    def _read_state(self, topic: Topic) -> Snapshot:
        """What a client that subscribes to a job needs, in one command: thousands come at once."""
        found = self._redis.hmget(_keys(topic)[0], "sequence", "epoch", "payload")
        sequence, epoch, payload = cast(list[Any], found)
        if not sequence:
            return Snapshot()
        return Snapshot(int(sequence), epoch, recovered=False, events=[StoredEvent(topic.event, payload)])

    def _load(
        self, topic: Topic
    ) -> tuple[dict[str, str], dict[str, str], list[str], set[str], list[StoredEvent]]:
        state, history, inbox, order, unread = _keys(topic)
        with self._redis.pipeline(transaction=True) as pipe:
            pipe.hgetall(state)
            pipe.hgetall(inbox)
            pipe.zrange(order, 0, -1)
            pipe.smembers(unread)
            pipe.lrange(history, 0, -1)
            found = pipe.execute()
        events = [_stored_event(line) for line in found[4]]
        return _dict(found[0]), _dict(found[1]), found[2], set(found[3]), events


def _script(*, sharded: bool) -> bytes:
    command = "SPUBLISH" if sharded else "PUBLISH"
    return f"local PUBLISH = '{command}'\n{_SCRIPT}".encode()


def _dict(answer: Any) -> dict[str, str]:
    """redis-py before 7 hands out what a transaction on a cluster answered as it came: names and values."""
    return answer if isinstance(answer, dict) else dict(zip(answer[::2], answer[1::2], strict=True))


def _position(answer: Any) -> Position:
    """A key that somebody else wrote is no topic, and must not hide the positions of all others."""
    if isinstance(answer, ResponseError) and _is_final(answer):
        return Position()
    if isinstance(answer, Exception):
        raise answer
    sequence, epoch = answer
    return Position(int(sequence or 0), epoch)


def _expected(statuses: frozenset[str] | None) -> str:
    return "*" if statuses is None else ",".join(sorted(statuses))


def _stored_event(line: str) -> StoredEvent:
    event, _, payload = line.partition(" ")
    return StoredEvent(event, payload)


def _inbox_events(order: list[str], inbox: dict[str, str], unread: set[str]) -> list[StoredEvent]:
    """The inbox, oldest first; a payload is told its read state, which is not part of what is stored."""
    return [StoredEvent(USER.event, with_read(inbox[i], read=i not in unread)) for i in order if i in inbox]


def with_read(payload: str, *, read: bool) -> str:
    """The notification's JSON with its read state appended."""
    return f'{payload[:-1]},"read":{"true" if read else "false"}}}'
