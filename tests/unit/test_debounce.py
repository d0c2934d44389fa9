"""The rate cap, with a clock of its own."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from jobcast.debounce import Debouncer
from tests.clock import FakeClock


def make(interval: float = 1.0) -> tuple[Debouncer[str, int], FakeClock]:
    clock = FakeClock()
    return Debouncer(interval, clock), clock


def test_the_first_item_goes_out_at_once():
    """The leading edge: nobody waits for the first sign of life."""
    debouncer, _ = make()
    assert debouncer.offer("a", 1) == 1


def test_later_items_wait_and_the_newest_wins():
    """Within the interval only the newest is kept."""
    debouncer, clock = make()
    debouncer.offer("a", 1)
    assert debouncer.offer("a", 2) is None
    assert debouncer.offer("a", 3) is None
    clock.advance(1.0)
    assert debouncer.due() == [3]
    assert debouncer.due() == []


def test_the_last_item_always_goes_out():
    """The trailing edge, which the guide's sample throttle does not have."""
    debouncer, clock = make()
    debouncer.offer("a", 1)
    debouncer.offer("a", 100)
    clock.advance(60)
    assert debouncer.due() == [100]


def test_one_busy_key_does_not_starve_another():
    """The guide's sample shares one timestamp between all jobs."""
    debouncer, _ = make()
    debouncer.offer("busy", 1)
    for n in range(100):
        debouncer.offer("busy", n)
    assert debouncer.offer("quiet", 7) == 7


def test_an_urgent_item_goes_out_at_once_and_replaces_what_waits():
    """A terminal state carries everything the waiting progress would have said."""
    debouncer, clock = make()
    debouncer.offer("a", 1)
    debouncer.offer("a", 2)
    assert debouncer.offer("a", 3, urgent=True) == 3
    clock.advance(5)
    assert debouncer.due() == []


def test_an_interval_of_zero_switches_the_cap_off():
    """SOCKETIO_DEBOUNCE_MS=0."""
    debouncer, _ = make(0)
    assert [debouncer.offer("a", n) for n in range(5)] == [0, 1, 2, 3, 4]


def test_next_due_says_how_long_to_sleep():
    """None while nothing waits, then the rest of the interval."""
    debouncer, clock = make()
    debouncer.offer("a", 1)
    assert debouncer.next_due() is None
    clock.advance(0.25)
    debouncer.offer("a", 2)
    assert debouncer.next_due() == 0.75


def test_keys_that_nobody_uses_are_forgotten():
    """Memory is bounded by the keys of one interval."""
    debouncer, clock = make()
    for n in range(1_000):
        debouncer.offer(str(n), n)
    clock.advance(1.0)
    debouncer.due()
    assert len(debouncer) == 0


def test_take_hands_out_what_waits_under_one_key_only():
    """Progress goes out before the event that follows it."""
    debouncer, _ = make()
    debouncer.offer("a", 1)
    debouncer.offer("a", 2)
    debouncer.offer("b", 3)
    assert debouncer.take("a") == 2
    assert debouncer.take("b") is None


events = st.lists(
    st.tuples(st.sampled_from("abc"), st.booleans(), st.floats(0, 2, allow_nan=False, allow_infinity=False)),
    max_size=60,
)


@given(events)
def test_any_sequence_of_items_ends_on_the_last_one_of_each_key_and_holds_the_cap(script):
    """Per key: order kept, last item out, and merely mergeable items at least an interval apart."""
    debouncer, clock = make()
    out: list[tuple[float, str, int, bool]] = []

    def collect():
        out.extend((clock(), key, n, urgent) for key, n, urgent in debouncer.due())

    for n, (key, urgent, pause) in enumerate(script):
        ready = debouncer.offer(key, (key, n, urgent), urgent=urgent)
        if ready:
            out.append((clock(), *ready))
        clock.advance(pause)
        collect()
    clock.advance(10)
    collect()

    for key in {key for key, _, _ in script}:
        mine = [(at, n, urgent) for at, k, n, urgent in out if k == key]
        assert [n for _, n, _ in mine] == sorted({n for _, n, _ in mine})
        assert mine[-1][1] == max(n for n, (k, _, _) in enumerate(script) if k == key)
        gaps = [(b[0] - a[0], b[2]) for a, b in itertools.pairwise(mine)]
        assert all(gap >= 1.0 - 1e-9 for gap, urgent in gaps if not urgent)
