"""How many connections there may be, of an address and of everybody."""

from __future__ import annotations

import pytest

from jobcast.server.websocket.pending_limit import PendingLimit, PendingLimitReached


def test_an_address_has_a_limit_and_one_that_is_not_counted_has_none():
    """Loopback is not counted, unless a setting says so."""
    here = PendingLimit(lambda address: "" if address == "127.0.0.1" else address, 2)
    for _ in range(2):
        here.enter(("1.2.3.4", 1))
    with pytest.raises(PendingLimitReached):
        here.enter(("1.2.3.4", 1))
    for _ in range(5):
        here.enter(("127.0.0.1", 1))
    assert len(here) == 7


def test_all_connections_together_have_a_limit():
    """Those counted elsewhere too, and those whose address is not; told once, until there is room."""
    told: list[str] = []
    sockets = [1, 2]
    here = PendingLimit(lambda address: "", 10, told.append, 4, lambda: len(sockets))
    names = [here.enter(()) for _ in range(2)]
    for _ in range(3):
        with pytest.raises(PendingLimitReached):
            here.enter(())
    assert len(told) == 1
    sockets.pop()
    here.enter(())
    for name in names:
        here.leave(name)
    assert len(here) == 1
