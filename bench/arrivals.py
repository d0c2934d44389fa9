"""What arrived: counts, order and latency, out of raw chunks of WebSocket frames."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

#: Client, arrival in nanoseconds, bytes.
Chunk = tuple[int, int, bytes]

_MESSAGE: Final = re.compile(rb'"sequence":(\d+),"epoch":"([^"]*)"[^}]*?"t":(\d+)\}')
#: Bytes of an unfinished message that are kept for the next chunk; more than the longest.
_LONGEST: Final = 1024


@dataclass(slots=True)
class Stream:
    """What one client got."""

    received: int = 0
    duplicates: int = 0
    regressions: int = 0
    rest: bytes = b""
    #: Highest sequence per epoch.
    highest: dict[bytes, int] = field(default_factory=dict)
    seen: set[tuple[bytes, int]] = field(default_factory=set)

    def note(self, epoch: bytes, sequence: int) -> None:
        place = (epoch, sequence)
        if place in self.seen:
            self.duplicates += 1
        elif sequence < self.highest.get(epoch, 0):
            self.regressions += 1
        self.seen.add(place)
        self.highest[epoch] = max(sequence, self.highest.get(epoch, 0))
        self.received += 1


@dataclass
class Arrivals:
    """All clients together; times are nanoseconds."""

    streams: dict[int, Stream] = field(default_factory=dict)
    latencies: list[int] = field(default_factory=list)
    first_sent: int = 0
    first_arrived: int = 0
    last_arrived: int = 0

    @classmethod
    def of(cls, chunks: Iterable[Chunk]) -> Arrivals:
        tally = cls()
        for chunk in chunks:
            tally.add(*chunk)
        return tally

    def add(self, client: int, arrived: int, data: bytes) -> None:
        """Note the messages that are complete with this chunk."""
        stream = self.streams.setdefault(client, Stream())
        data, end = stream.rest + data, 0
        for found in _MESSAGE.finditer(data):
            sequence, epoch, sent = found.groups()
            stream.note(epoch, int(sequence))
            self._time(int(sent), arrived)
            end = found.end()
        stream.rest = data[end:][-_LONGEST:]

    def figures(self, expected: Sequence[int]) -> dict[str, Any]:
        """Counts and times; ``expected`` is per client."""
        seconds = (self.last_arrived - self.first_sent) / 1e9
        received = sum(stream.received for stream in self.streams.values())
        return {
            "expected": sum(expected),
            "received": received,
            "lost": sum(self._lost(client, wanted) for client, wanted in enumerate(expected)),
            "duplicates": sum(stream.duplicates for stream in self.streams.values()),
            "regressions": sum(stream.regressions for stream in self.streams.values()),
            "first_ms": round((self.first_arrived - self.first_sent) / 1e6, 3),
            "seconds": round(seconds, 4),
            "rate": round(received / seconds, 1) if seconds else 0.0,
            **self.percentiles(),
        }

    def percentiles(self) -> dict[str, float]:
        """Milliseconds from being sent to being read, over all deliveries."""
        ordered = sorted(self.latencies)
        return {f"p{share}_ms": _percentile(ordered, share / 100) / 1e6 for share in (50, 99)}

    def _lost(self, client: int, wanted: int) -> int:
        stream = self.streams.get(client)
        return max(0, wanted - len(stream.seen)) if stream else wanted

    def _time(self, sent: int, arrived: int) -> None:
        self.latencies.append(arrived - sent)
        self.first_sent = min(self.first_sent or sent, sent)
        self.first_arrived = self.first_arrived or arrived
        self.last_arrived = max(self.last_arrived, arrived)


def _percentile(ordered: Sequence[int], share: float) -> int:
    """The smallest value that this share of all does not exceed; 0 of nothing."""
    return ordered[max(0, -int(-share * len(ordered) // 1) - 1)] if ordered else 0
