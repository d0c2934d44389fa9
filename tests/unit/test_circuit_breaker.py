"""The circuit breaker, by a clock of its own."""

from __future__ import annotations

import pytest

from jobcast.circuit_breaker import FIRST_PAUSE, LONGEST_PAUSE, CircuitBreaker
from tests.clock import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def breaker(clock) -> CircuitBreaker:
    return CircuitBreaker(clock)


def test_closed_it_allows_everything(breaker):
    """From the start, and after a success."""
    assert breaker.allows
    breaker.succeeded()
    assert breaker.allows
    assert not breaker.is_open


def test_open_it_allows_one_try_when_its_pause_is_over(breaker, clock):
    """Which decides: closed, or open for longer."""
    breaker.failed()
    assert breaker.is_open
    assert not breaker.allows
    clock.advance(FIRST_PAUSE)
    assert breaker.allows
    breaker.failed()
    clock.advance(FIRST_PAUSE / 2)
    assert not breaker.allows
    clock.advance(2 * FIRST_PAUSE)
    breaker.succeeded()
    assert breaker.allows
    assert not breaker.is_open


def test_its_pauses_have_a_limit_and_differ(breaker, clock):
    """A hundred workers do not all come back at once, nor minutes late."""
    pauses = set()
    for _ in range(30):
        breaker.failed()
        pauses.add(breaker.retry_at - clock.now)
    assert max(pauses) <= LONGEST_PAUSE
    assert len(pauses) > 20
