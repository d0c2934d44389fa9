"""The debt of one connection."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobcast.server.protocol.inbound_budget import BudgetSpent, InboundBudget

BUDGET = InboundBudget(frames_per_second=10, bytes_per_second=1_000, seconds=5)


def test_a_burst_may_come_at_once_and_no_more():
    """Fifty frames are five seconds of ten."""
    paid_until = 0.0
    for _ in range(50):
        paid_until = BUDGET.charge(paid_until, 100.0, frames=1)
    with pytest.raises(BudgetSpent):
        BUDGET.charge(paid_until, 100.0, frames=1)


def test_bytes_count_even_when_they_are_few_frames():
    """One frame of everything."""
    with pytest.raises(BudgetSpent):
        BUDGET.charge(0.0, 100.0, frames=1, size=5_001)


def test_time_pays_and_saves_nothing_up():
    """After an hour of silence the burst is what it was."""
    paid_until = BUDGET.charge(0.0, 100.0, frames=50)
    paid_until = BUDGET.charge(paid_until, 101.0, frames=10)
    paid_until = BUDGET.charge(paid_until, 3_700.0, frames=50)
    with pytest.raises(BudgetSpent):
        BUDGET.charge(paid_until, 3_700.0, frames=1)


@given(st.lists(st.tuples(st.floats(0, 2), st.integers(0, 20), st.integers(0, 2_000)), max_size=200))
def test_nobody_gets_more_than_the_rate_and_one_burst(sent):
    """Whatever is sent whenever."""
    now, paid_until, frames, size = 1.0, 0.0, 0, 0
    for pause, count, length in sent:
        now += pause
        try:
            paid_until = BUDGET.charge(paid_until, now, count, length)
        except BudgetSpent:
            break
        frames, size = frames + count, size + length
    assert frames <= 10 * (now - 1.0 + 5) + 1e-6
    assert size <= 1_000 * (now - 1.0 + 5) + 1e-6
