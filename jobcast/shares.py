"""What a loop inside a loop, or a stage, is of the whole: shares of one unit that is not done yet."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True, eq=False)
class Share:
    """Worth ``weight`` units of what it is part of; ``completed`` of ``total`` are its own.

    ``at`` is the count of the loop whose item it is: once the loop has counted that, it is no share any more.
    """

    weight: float
    at: float | None = None
    completed: float = 0
    total: float = 0
    shares: list[Share] = field(default_factory=list)

    def done(self, outer: float) -> float:
        """How much of its weight is done, when the count around it stands at ``outer``."""
        if self.total <= 0 or (self.at is not None and self.at != outer):
            return 0.0
        inner = sum(share.done(self.completed) for share in tuple(self.shares))
        return self.weight * min(max((self.completed + inner) / self.total, 0.0), 1.0)


@dataclass(slots=True, eq=False)
class Frame:
    """A loop or a stage that a thread is in; ``share`` is what it counts into, None for the job itself."""

    thread: int
    share: Share | None
    is_loop: bool
    item: Share | None = None
