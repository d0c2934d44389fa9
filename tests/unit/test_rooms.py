"""Our book of rooms against python-socketio's own, under any order of events."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule
from socketio import Manager

from jobcast.server.delivery.subscriptions import Subscriptions
from jobcast.server.socketio.rooms import Rooms
from jobcast.topics import job_topic

NAMESPACES = ("/jobs", "/default")
ROOMS = ("job:a", "job:b", "party", "x")
SOCKETS = [f"eio{n}" for n in range(4)]


class Server:
    """What a manager asks of its server."""

    class eio:  # noqa: N801  # the name it has there
        generate_id: Any = None

    class packet_class:  # noqa: N801
        json = None

    logger = None


class Way:
    """A client that is never written to."""

    def send(self, event: object) -> bool:
        return True

    def has_room(self) -> bool:
        return True


def managers() -> tuple[Rooms, Manager, Subscriptions]:
    """Ours and theirs, which give out the same ids."""
    subscriptions = Subscriptions()
    both = Rooms(subscriptions, "channel"), Manager()
    for manager in both:
        server, ids = Server(), itertools.count()
        server.eio = type("eio", (), {"generate_id": lambda self, ids=ids: f"sid{next(ids)}"})()
        manager.set_server(server)
    return (*both, subscriptions)


class Book(RuleBasedStateMachine):
    """Clients connect, enter, leave, follow topics and go; both books have to say the same."""

    clients = Bundle("clients")

    def __init__(self) -> None:
        super().__init__()
        self.ours, self.theirs, self.subscriptions = managers()

    @rule(target=clients, eio_sid=st.sampled_from(SOCKETS), namespace=st.sampled_from(NAMESPACES))
    def connect(self, eio_sid: str, namespace: str) -> tuple[str, str] | None:
        found = [m.pre_connect(eio_sid, namespace) for m in (self.ours, self.theirs)]
        assert found[0] == found[1]
        return (found[0], namespace) if found[0] else None

    @rule(client=clients)
    def finish_connecting(self, client: tuple[str, str] | None) -> None:
        if client and self.theirs.is_pre_connected(*client):
            assert self.ours.is_pre_connected(*client)
            self.ours.connect(*client)
            self.theirs.connect(*client)

    @rule(client=clients, room=st.sampled_from(ROOMS))
    def enter(self, client: tuple[str, str] | None, room: str) -> None:
        if client is None:
            return
        outcomes = [self._tried(m.basic_enter_room, *client, room) for m in (self.ours, self.theirs)]
        assert outcomes[0] == outcomes[1]

    @rule(client=clients, room=st.sampled_from(ROOMS))
    def leave(self, client: tuple[str, str] | None, room: str) -> None:
        if client:
            self.ours.basic_leave_room(*client, room)
            self.theirs.basic_leave_room(*client, room)

    @rule(room=st.sampled_from(ROOMS), namespace=st.sampled_from(NAMESPACES))
    def close(self, room: str, namespace: str) -> None:
        self.ours.basic_close_room(room, namespace)
        self.theirs.basic_close_room(room, namespace)

    @rule(client=clients)
    def begin_to_go(self, client: tuple[str, str] | None) -> None:
        if client and self.theirs.is_connected(*client):
            assert self.ours.pre_disconnect(*client) == self.theirs.pre_disconnect(*client)

    @rule(client=consumes(clients))
    def go(self, client: tuple[str, str] | None) -> None:
        if client:
            self.ours.basic_disconnect(*client)
            self.theirs.basic_disconnect(*client)

    def _tried(self, act: Any, *arguments: Any) -> object:
        try:
            return act(*arguments)
        except (KeyError, ValueError) as error:
            return type(error)

    @invariant()
    def both_say_the_same(self) -> None:
        assert sorted(self.ours.get_namespaces()) == sorted(self.theirs.get_namespaces())
        sids = {sid for n in NAMESPACES for sid, _ in self.theirs.get_participants(n, None)}
        for namespace in NAMESPACES:
            for room in (None, *ROOMS, *sids, "nobody"):
                assert self._members(self.ours, namespace, room) == self._members(
                    self.theirs, namespace, room
                )
            for sid in sids:
                assert sorted(self.ours.get_rooms(sid, namespace)) == sorted(
                    self.theirs.get_rooms(sid, namespace)
                )
                assert self.ours.is_connected(sid, namespace) == self.theirs.is_connected(sid, namespace)
        assert self.ours.pending_connect == self.theirs.pending_connect
        assert self.ours.pending_disconnect == self.theirs.pending_disconnect

    def _members(self, manager: Manager, namespace: str, room: str | None) -> dict[str, str]:
        return dict(manager.get_participants(namespace, room))

    def teardown(self) -> None:
        """When all have gone nothing is left."""
        for namespace in NAMESPACES:
            for sid, _ in list(self.ours.get_participants(namespace, None)):
                self.ours.basic_disconnect(sid, namespace)
        assert not self.ours.rooms
        assert not self.ours._entered
        assert not self.ours.pending_connect
        assert not self.ours.pending_disconnect


TestBook = Book.TestCase
TestBook.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


@pytest.fixture
def book() -> tuple[Rooms, Subscriptions, str]:
    """A client on two namespaces that follows a job."""
    ours, _, subscriptions = managers()
    sid = ours.connect(ours.pre_connect("eio", "/jobs"), "/jobs")
    other = ours.connect(ours.pre_connect("eio", "/default"), "/default")
    assert sid != other
    subscriptions.open(sid, job_topic("a"), Way())
    return ours, subscriptions, sid


def test_a_topics_followers_are_its_room(book):
    """In its own namespace, without having entered it."""
    ours, _, sid = book
    assert dict(ours.get_participants("/jobs", "job:a")) == {sid: "eio"}
    assert dict(ours.get_participants("/default", "job:a")) == {}
    assert ours.get_rooms(sid, "/jobs") == [sid, "job:a"]


def test_nobody_is_in_a_room_twice(book):
    """Followed and entered, or named in several rooms."""
    ours, _, sid = book
    ours.basic_enter_room(sid, "/jobs", "job:a")
    assert list(ours.get_participants("/jobs", "job:a")) == [(sid, "eio")]
    assert list(ours.get_participants("/jobs", ["job:a", sid, "x"])) == [(sid, "eio")]


def test_a_follower_that_has_gone_is_in_no_room(book):
    """Even while its subscription is still written down."""
    ours, subscriptions, sid = book
    ours.basic_disconnect(sid, "/jobs")
    assert dict(ours.get_participants("/jobs", "job:a")) == {}
    assert subscriptions.of_room("job:a")
    assert ours.sid_from_eio_sid("eio", "/default")
