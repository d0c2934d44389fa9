"""How much one connection may send, of whatever kind: frames, packets and bytes.

Pure. A generic cell rate algorithm: what was sent is a debt in seconds, which time pays off. A connection
keeps one number, so that an idle one costs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

#: Frames that may come for each message a connection may send: pings, pongs and parts of messages.
FRAMES_PER_MESSAGE: Final = 3


class BudgetSpent(Exception):
    """Raised when a connection has sent more than it may."""


@dataclass(frozen=True, slots=True)
class InboundBudget:
    """The steady rates, and for how many ``seconds`` of them a connection may be ahead.

    ``frames_per_second`` counts frames, packets or requests; ``bytes_per_second`` counts what carried them.
    """

    frames_per_second: float
    bytes_per_second: float
    seconds: float

    def charge(self, paid_until: float, now: float, frames: int = 0, size: int = 0) -> float:
        """Count what was read; the new ``paid_until`` to keep. Raise BudgetSpent.

        ``paid_until`` and ``now`` are of one monotonic clock, in seconds; a new connection begins with 0.
        """
        debt = max(frames / self.frames_per_second, size / self.bytes_per_second)
        paid_until = (paid_until if paid_until > now else now) + debt
        if paid_until - now > self.seconds:
            raise BudgetSpent("sends too much")
        return paid_until
