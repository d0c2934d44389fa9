"""What a descriptor can be ready for, in epoll's numbers, and who is told so."""

from __future__ import annotations

from typing import Final, Protocol

IN: Final = 0x001
OUT: Final = 0x004
ERROR: Final = 0x008
HUNG_UP: Final = 0x010
#: The other side has ended its half; reported where it is asked for.
HALF_CLOSED: Final = 0x2000
#: Report only new arrivals, not what still lies there.
EDGE: Final = 1 << 31


class Watched(Protocol):
    """Is told that its descriptor is ready; must not block."""

    def ready(self, events: int) -> None: ...

    def give_up(self) -> None:
        """End the connection, after an error of our own."""
