"""How refusals are held back."""

from __future__ import annotations

from jobcast.server.tarpit import DELAY_SECONDS, HELD_AT_ONCE, Tarpit


def test_refusals_are_held_so_many_at_a_time():
    """The others are told at once; whoever was told makes room."""
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        tarpit.hold()  # the next one comes while this one waits

    tarpit = Tarpit(sleep)
    tarpit.hold()
    assert slept == [DELAY_SECONDS] * HELD_AT_ONCE
    tarpit.hold()
    assert len(slept) == 2 * HELD_AT_ONCE
