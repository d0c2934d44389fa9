"""What one client may ask for, by a clock that the tests move."""

from __future__ import annotations

import pytest

from jobcast.server.client_address import Addresses
from jobcast.server.connection_limits import MESSAGES_OVER_LIMIT, PENALTY_SECONDS, ConnectionRegistry
from jobcast.server.errors import RequestRefused
from jobcast.server.settings import ServerSettings
from tests.clock import FakeClock

SMALL = {
    "jobcast_limit_connections_per_address": 3,
    "jobcast_limit_connections_per_user": 2,
    "jobcast_limit_pending_handshakes": 2,
    "jobcast_limit_handshakes_per_minute": 5,
    "jobcast_limit_events_per_second": 10,
    "jobcast_limit_event_burst": 20,
    "jobcast_handshake_seconds": 10,
}


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def connections(clock) -> ConnectionRegistry:
    return ConnectionRegistry(ServerSettings(**SMALL), clock)


def refused(action, *arguments) -> RequestRefused:
    with pytest.raises(RequestRefused) as caught:
        action(*arguments)
    assert caught.value.code == "rate-limited"
    assert caught.value.retry_after > 0
    return caught.value


def arrive(connections, name, address="1.2.3.4", user="ana"):
    connections.admit(address)
    connections.open(name, address)
    connections.join(name, f"{name}-sid", user)


def leaves_nothing(connections) -> bool:
    held = (
        connections._open, connections._waiting, connections._of_address,
        connections._waiting_of_address, connections._of_user,
    )  # fmt: skip
    return not any(held)


def test_an_address_has_so_many_connections(connections):
    """Whoever leaves makes room; another address is another."""
    for name, user in (("a", "ana"), ("b", "bo"), ("c", "cy")):
        arrive(connections, name, user=user)
    refused(connections.admit, "1.2.3.4")
    connections.admit("5.6.7.8")
    connections.close("a")
    connections.admit("1.2.3.4")


def test_a_user_has_so_many_connections_from_wherever(connections):
    """Namespaces of one connection are one; the refused one keeps its connection but joins nothing."""
    arrive(connections, "a", "1.1.1.1")
    connections.join("a", "a-sid2", "ana")
    arrive(connections, "b", "2.2.2.2")
    connections.open("c", "3.3.3.3")
    refused(connections.join, "c", "c-sid", "ana")
    connections.join("c", "c-sid", "bo")
    connections.close("a")
    arrive(connections, "d", "4.4.4.4")


def test_an_address_has_so_many_handshakes_under_way_and_in_a_minute(connections):
    """Those who joined a namespace are through."""
    for name in "ab":
        connections.admit("1.2.3.4")
        connections.open(name, "1.2.3.4")
    assert "handshakes" in refused(connections.admit, "1.2.3.4").message
    for name in "ab":
        connections.join(name, name, "")
        connections.close(name)
    for _ in range(3):
        connections.admit("1.2.3.4")
    assert refused(connections.admit, "1.2.3.4").retry_after <= 60


def test_what_is_not_counted_has_no_limit(connections):
    """Loopback, unless a setting says otherwise."""
    for name in range(20):
        arrive(connections, str(name), address="", user="")
    for name in range(20):
        connections.close(str(name))
    assert leaves_nothing(connections)


def test_a_connection_may_send_a_burst_and_then_a_steady_rate(connections, clock):
    """And is told how long it should have waited."""
    arrive(connections, "a")
    assert all(connections.charge("a").wait == 0 for _ in range(20))
    assert connections.charge("a").wait == pytest.approx(0.2)
    assert connections.charge("a").wait == pytest.approx(0.3)
    clock.advance(0.3)
    assert connections.charge("a").wait == 0
    clock.advance(3600)
    assert [bool(connections.charge("a").wait) for _ in range(21)] == [False] * 20 + [True]


def test_whoever_goes_on_and_on_is_over_and_over(connections, clock):
    """Patience is for those who do not know yet; waiting as told is always in time."""
    arrive(connections, "a")
    for _ in range(20 + MESSAGES_OVER_LIMIT):
        connection = connections.charge("a")
    assert not connection.is_over_and_over
    clock.advance(connection.wait)
    assert connections.charge("a").wait == 0
    for _ in range(MESSAGES_OVER_LIMIT + 1):
        connection = connections.charge("a")
    assert connection.is_over_and_over


def test_a_connection_that_is_over_the_limit_joins_nothing(connections):
    """Leaving and joining again is a message too."""
    arrive(connections, "a")
    for _ in range(21):
        connections.charge("a")
    refused(connections.join, "a", "other", "ana")


def test_a_user_who_was_thrown_out_stays_out_for_a_while(connections, clock):
    """From wherever."""
    arrive(connections, "a")
    connections.punish(connections.get("a"))
    connections.close("a")
    connections.open("b", "5.6.7.8")
    assert refused(connections.join, "b", "b-sid", "ana").retry_after == PENALTY_SECONDS
    clock.advance(PENALTY_SECONDS)
    connections.join("b", "b-sid", "ana")
    connections.forgive()
    assert not connections._penalties


def test_others_behind_the_address_of_one_who_was_thrown_out_are_let_in(connections):
    """A stranger's penalty is his connection's, a user's is the user's."""
    connections.open("stranger", "1.2.3.4")
    arrive(connections, "a")
    for thrown_out in ("stranger", "a"):
        connections.punish(connections.get(thrown_out))
        connections.close(thrown_out)
    connections.admit("1.2.3.4")
    connections.open("colleague", "1.2.3.4")
    connections.join("colleague", "colleague-sid", "bo")


def test_connections_without_a_namespace_are_overdue_after_a_while(connections, clock):
    """From the handshake on, and again from when they left their last namespace."""
    connections.open("idle", "")
    arrive(connections, "a", "")
    clock.advance(10)
    assert list(connections.overdue()) == ["idle"]
    connections.leave("a", "a-sid")
    connections.close("idle")
    assert list(connections.overdue()) == []
    clock.advance(10)
    assert list(connections.overdue()) == ["a"]


def test_a_connection_that_is_gone_leaves_nothing_behind(connections):
    """Whatever it did, and however it went."""
    arrive(connections, "a")
    connections.join("a", "other", "bo")
    connections.leave("a", "other")
    connections.leave("a", "unknown")
    connections.close("a")
    connections.close("a")
    connections.leave("a", "a-sid")
    assert connections.charge("a") is None
    assert leaves_nothing(connections)


@pytest.mark.parametrize(
    ("remote", "forwarded", "hops", "expected"),
    [
        ("203.0.113.7", "198.51.100.1", 0, "203.0.113.7"),
        ("10.0.0.1", "198.51.100.1", 1, "198.51.100.1"),
        ("10.0.0.1", "6.6.6.6, 198.51.100.1", 1, "198.51.100.1"),
        ("10.0.0.1", "6.6.6.6, 198.51.100.1, 10.0.0.2", 2, "198.51.100.1"),
        ("10.0.0.1", "198.51.100.1", 2, "10.0.0.1"),
        ("10.0.0.1", None, 1, "10.0.0.1"),
        ("127.0.0.1", "198.51.100.1", 1, "198.51.100.1"),
        ("127.0.0.1", "198.51.100.1", 0, ""),
        ("127.0.0.1", "127.0.0.1", 1, ""),
        ("::1", None, 0, ""),
        ("::ffff:127.0.0.1", None, 0, ""),
        ("::ffff:203.0.113.7", None, 0, "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", None, 0, "2001:db8:1:2::/64"),
        ("fe80::1%eth0", None, 0, "fe80::/64"),
        ("no address", None, 0, "no address"),
    ],
)
def test_whose_address_counts(remote, forwarded, hops, expected):
    """The one before as many proxies as are trusted; an IPv6 network as one; loopback not at all."""
    environ = {"REMOTE_ADDR": remote} | ({"HTTP_X_FORWARDED_FOR": forwarded} if forwarded else {})
    assert Addresses(hops, counts_loopback=False).of(environ) == expected
    assert environ["REMOTE_ADDR"] == remote


def test_behind_a_proxy_a_bare_connection_is_nobodys():
    """It is the proxy's, whoever is behind it; without one it is whoever opened it."""
    assert Addresses(1, counts_loopback=True).of_peer("203.0.113.1") == ""
    assert Addresses(0, counts_loopback=False).of_peer("203.0.113.1") == "203.0.113.1"
    assert Addresses(0, counts_loopback=False).of_peer("127.0.0.1") == ""


def test_loopback_counts_when_it_should():
    """For whoever serves no proxy on the same machine."""
    addresses = Addresses(0, counts_loopback=True)
    assert addresses.of({"REMOTE_ADDR": "127.0.0.1"}) == "127.0.0.1"
