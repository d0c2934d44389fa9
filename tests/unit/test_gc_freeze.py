"""What lives is set aside; garbage is found all the same, new garbage soon and old garbage later."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from jobcast.server.run.gc_freeze import FULL_EVERY, FULL_PAUSE, TIDY_EVERY, GcFreeze
from tests.clock import FakeClock


class Cycle:
    """Holds on to itself."""

    def __init__(self) -> None:
        self.me: Cycle | None = self


@pytest.fixture(autouse=True)
def collector() -> Iterator[None]:
    """As it was, whatever a test has set aside."""
    gc.disable()
    yield
    gc.unfreeze()
    gc.enable()


def looked_at(thing: object) -> bool:
    return any(found is thing for found in gc.get_objects())


def test_what_lives_is_not_looked_at_again():
    """However much it is."""
    lives = Cycle()
    assert looked_at(lives)
    GcFreeze(FakeClock()).tidy()
    assert not looked_at(lives)


def test_new_garbage_is_found_at_once():
    """By the next look."""
    gc_freeze = GcFreeze(FakeClock())
    gone = weakref.ref(Cycle())
    assert gone() is not None
    gc_freeze.tidy()
    assert gone() is None


def test_what_became_garbage_later_is_found_by_a_look_at_everything():
    """A client that went after it had been set aside."""
    clock = FakeClock()
    gc_freeze = GcFreeze(clock)
    lives = Cycle()
    gone = weakref.ref(lives)
    gc_freeze.tidy()
    del lives
    clock.advance(FULL_EVERY - TIDY_EVERY)
    gc_freeze.tidy()
    assert gone() is not None
    clock.advance(TIDY_EVERY)
    gc_freeze.tidy()
    assert gone() is None


def test_the_longer_a_look_at_everything_takes_the_more_seldom_it_is(monkeypatch):
    """At most a thousandth of the time is spent on it."""
    clock, looks = FakeClock(), []
    gc_freeze = GcFreeze(clock)
    monkeypatch.setattr(gc, "unfreeze", lambda: (looks.append(clock()), clock.advance(0.4)))
    for _ in range(int(2 * FULL_PAUSE * 0.4 / TIDY_EVERY)):
        clock.advance(TIDY_EVERY)
        gc_freeze.tidy()
    assert len(looks) == 2
    monkeypatch.undo()
