"""When sessions end: by a clock that the tests move, and a server that only notes what it is asked."""

from __future__ import annotations

import pytest

from jobcast.server.authorization import Identity
from jobcast.server.connection_limits import ConnectionRegistry
from jobcast.server.errors import RequestRefused
from jobcast.server.sessions import Sessions
from jobcast.server.settings import ServerSettings
from tests.clock import FakeClock


class NotedServer:
    """Stands where python-socketio's server does; ``ended`` is (sid, code) in order."""

    def __init__(self) -> None:
        self.manager = self.eio = self
        self.sockets: dict[str, object] = {}
        self.ended: list[tuple[str, str]] = []
        self._told: dict[str, str] = {}
        self.sessions: Sessions | None = None

    def eio_sid_from_sid(self, sid: str, namespace: str) -> str:
        return sid.partition("/")[0]

    def get_environ(self, sid: str, namespace: str) -> dict[str, str]:
        return {"REMOTE_ADDR": "203.0.113.1"}

    def emit(self, event: str, data: dict[str, str], to: str, **_: object) -> None:
        assert event == "subscription-error"
        self._told[to] = data["code"]

    def disconnect(self, sid: str, **_: object) -> None:
        self.ended.append((sid, self._told.pop(sid)))
        self.sessions.close(sid)

    def sleep(self, seconds: float) -> None:
        pass


class Called:
    """The tokens that are called back; the next look finds those in ``new``."""

    def __init__(self) -> None:
        self.new: frozenset[str] = frozenset()

    def refresh(self) -> frozenset[str]:
        found, self.new = self.new, frozenset()
        return found


class World:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.set_by = 0.0
        self.server = NotedServer()
        self.called = Called()
        self.connections = ConnectionRegistry(ServerSettings(), self.clock)
        self.sessions = self.server.sessions = Sessions(
            self.server, self.connections, self.called, self.wall, self.clock
        )

    def wall(self) -> float:
        return self.clock() + self.set_by

    def join(self, sid: str, **identity: object) -> None:
        eio_sid = sid.partition("/")[0]
        if self.connections.get(eio_sid) is None:
            self.connections.open(eio_sid, "")
        self.sessions.open("/jobs", sid, Identity("ana", **identity))

    def pass_time(self, seconds: float) -> list[tuple[str, str]]:
        """What ended meanwhile."""
        self.clock.advance(seconds)
        self.sessions.tick()
        ended, self.server.ended = self.server.ended, []
        return ended


@pytest.fixture
def world() -> World:
    return World()


def test_a_session_ends_when_its_token_does(world):
    """Not a second before, and not the others."""
    world.join("a/1", expires=1_010.0)
    world.join("a/2", expires=1_020.5)
    world.join("b/1")
    assert world.pass_time(9) == []
    assert world.pass_time(1) == [("a/1", "unauthenticated")]
    assert world.pass_time(5) == []
    assert world.pass_time(100) == [("a/2", "unauthenticated")]
    assert len(world.sessions) == 1


def test_a_token_that_has_just_expired_ends_at_the_next_look(world):
    """It was let in by the leeway for clocks; nobody looks back at a second that has passed."""
    world.join("a/1", expires=999.0)
    assert world.pass_time(1) == [("a/1", "unauthenticated")]


def test_a_token_that_is_called_back_ends_all_its_sessions(world):
    """On whatever connection, and no others."""
    world.join("a/1", token_id="x")
    world.join("b/1", token_id="x", expires=2_000.0)
    world.join("c/1", token_id="y")
    world.called.new = frozenset({"x", "unknown"})
    assert sorted(world.pass_time(1)) == [("a/1", "unauthenticated"), ("b/1", "unauthenticated")]
    assert world.pass_time(2_000) == []


def test_a_session_that_closes_leaves_nothing_behind(world):
    """Neither its end nor its token."""
    world.join("a/1", expires=5_000.0, token_id="x")
    world.join("b/1", expires=1e300)
    for sid in ("a/1", "a/1", "b/1", "never"):
        world.sessions.close(sid)
    assert not world.sessions._open
    assert not world.sessions._ending
    assert not world.sessions._of_token


def test_one_that_is_refused_leaves_nothing_behind(world):
    """The limit comes first."""
    connections = world.connections = ConnectionRegistry(ServerSettings(jobcast_limit_connections_per_user=1))
    world.sessions = Sessions(world.server, connections, world.called, world.wall, world.clock)
    world.join("a/1", expires=2_000.0)
    with pytest.raises(RequestRefused):
        world.join("b/1", expires=2_000.0)
    assert len(world.sessions) == 1
    assert world.sessions._ending == {2_000: {"a/1": None}}


def test_a_clock_that_is_set_back_ends_nobody_twice(world):
    """And those who come meanwhile still end."""
    world.join("a/1", expires=1_010.0)
    assert len(world.pass_time(10)) == 1
    world.set_by = -60
    assert world.pass_time(0) == []
    world.join("b/1", expires=960.0)
    assert world.pass_time(9) == []
    assert world.pass_time(1) == [("b/1", "unauthenticated")]


def test_a_clock_that_jumps_ahead_and_back_lets_no_session_outlive_its_token(world):
    """Who came before the jump, during it and after it."""
    world.join("a/1", expires=5_000.0)
    world.set_by = 3_600
    assert world.pass_time(1) == []
    world.join("b/1", expires=1_030.0 + 3_600)
    world.set_by = 0
    assert world.pass_time(1) == []
    world.join("c/1", expires=1_010.0)
    assert world.pass_time(8) == [("c/1", "unauthenticated")]
    assert world.pass_time(3_620) == [("b/1", "unauthenticated")]
    assert world.pass_time(370) == [("a/1", "unauthenticated")]


def test_a_clock_that_was_behind_ends_what_has_expired(world):
    """At the next look after it was put right."""
    world.join("a/1", expires=1_100.0)
    world.set_by = 200
    world.pass_time(1)
    world.pass_time(1)
    assert len(world.sessions) == 0
