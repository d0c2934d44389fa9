"""The timer for everybody, with a clock of our own."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from jobcast.server.websocket.timers import TIMERS_PER_TURN, TimerWheel
from tests.clock import FakeClock


class Timed:
    """Notes when it was looked at; ``again`` is what it answers."""

    def __init__(self, *again: float | None) -> None:
        self.looks: list[float] = []
        self._again = list(again)

    def tick(self, now: float) -> float | None:
        self.looks.append(now)
        return self._again.pop(0) if self._again else None


def started_at(now: float) -> FakeClock:
    clock = FakeClock()
    clock.now = now
    return clock


def turned(timers: TimerWheel, clock: FakeClock, seconds: float, step: float = 0.25) -> None:
    for _ in range(round(seconds / step)):
        clock.now += step
        timers.turn()


@given(st.floats(0, 30), st.floats(0, 1000))
def test_a_look_is_never_early_and_at_most_a_second_late(after, started):
    """Wherever in a second it was asked for; the loop's own quarter of a second comes on top."""
    clock = started_at(started)
    timers, timed = TimerWheel(clock), Timed()
    timers.add(timed, after)
    turned(timers, clock, 32)
    (look,) = timed.looks
    assert started + after <= look <= started + after + 1.26
    assert len(timers) == 0


def test_whoever_answers_with_seconds_is_looked_at_again():
    """Until it answers with None."""
    clock = started_at(100.0)
    timers, timed = TimerWheel(clock), Timed(5.0, 2.0, None)
    timers.add(timed, 1.0)
    turned(timers, clock, 30)
    first, second, third = timed.looks
    assert 101 <= first <= 102.25
    assert 5 <= second - first <= 6.25
    assert 2 <= third - second <= 3.25
    assert len(timers) == 0


def test_a_wheel_that_stood_still_catches_up():
    """After a long pause everything that was due is looked at, once."""
    clock = started_at(0.0)
    timers = TimerWheel(clock)
    waiting = [Timed() for _ in range(50)]
    for number, timed in enumerate(waiting):
        timers.add(timed, float(number))
    clock.now = 100.0
    assert timers.turn() == 50
    assert all(len(timed.looks) == 1 for timed in waiting)
    assert timers.turn() == 0


def test_others_have_their_turn_in_the_middle_of_many_looks():
    """And what is added meanwhile is not lost."""
    clock = started_at(0.0)
    late = Timed()
    pauses: list[float] = []

    def pause() -> None:
        pauses.append(clock.now)
        timers.add(late, 0)

    timers = TimerWheel(clock, pause)
    for _ in range(2 * TIMERS_PER_TURN + 1):
        timers.add(Timed(), 0)
    clock.now = 1.0
    assert timers.turn() == 2 * TIMERS_PER_TURN + 1
    assert len(pauses) == 2
    turned(timers, clock, 3)
    assert len(late.looks) == 2


def test_an_error_of_one_is_logged_and_the_others_are_looked_at(caplog):
    """And it is not looked at again."""

    class Broken(Timed):
        def tick(self, now: float) -> float | None:
            super().tick(now)
            raise RuntimeError("broken")

    clock = started_at(0.0)
    timers, broken, whole = TimerWheel(clock), Broken(), Timed(1.0)
    timers.add(broken, 0)
    timers.add(whole, 0)
    turned(timers, clock, 10)
    assert len(broken.looks) == 1
    assert len(whole.looks) == 2
    assert "given up" in caplog.text
