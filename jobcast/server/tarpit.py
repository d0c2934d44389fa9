"""Whoever asks too much waits for the refusal: a flood then comes as slowly as it is answered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

#: Seconds a refusal takes.
DELAY_SECONDS: Final = 0.5
#: Refusals that are held back at the same time; the others are told at once.
HELD_AT_ONCE: Final = 200


class Tarpit:
    """Holds back refusals, so many at a time; ``sleep`` lets everybody else go on."""

    def __init__(self, sleep: Callable[[float], None]) -> None:
        self._sleep = sleep
        self._held = 0

    def hold(self) -> None:
        """Return after a while, or at once when too many are held already."""
        if self._held >= HELD_AT_ONCE:
            return
        self._held += 1
        try:
            self._sleep(DELAY_SECONDS)
        finally:
            self._held -= 1
