"""What many subscribers take, computed from measured figures; the formulae are in ``docs/capacity.md``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from bench.results import Result
from bench.text import number, table

SCALES: Final = (10_000, 1_000_000, 50_000_000)

#: Share of the jobs people look at that run at any moment, and what each says per second.
RUNNING: Final = 0.1
PER_SECOND: Final = 1.0
#: How far a core is loaded in everyday work.
LOAD: Final = 0.5
#: Seconds in which everybody is to be back after all processes restarted.
RETURN_WITHIN: Final = 60.0
#: Memory of one web process, and web processes of one machine.
PROCESS_MEMORY: Final = 2 * 2**30
PER_MACHINE: Final = 8


@dataclass(frozen=True)
class Needs:
    """What ``subscribers`` take; processes of one core each."""

    subscribers: int
    messages: float
    by_memory: int
    by_delivery: int
    by_return: int
    stores: int
    one_channel: float
    channel_per_topic: float

    @property
    def processes(self) -> int:
        return max(self.by_memory, self.by_delivery, self.by_return)

    @property
    def machines(self) -> int:
        return math.ceil(self.processes / PER_MACHINE)


@dataclass(frozen=True)
class Figures:
    """Measured: bytes, bytes, per second, per second, per second, seconds, seconds, bytes."""

    empty: float
    per_subscriber: float
    fan_out: float
    per_job: float
    connects: float
    elsewhere: float
    store: float
    envelope: float

    @classmethod
    def of(cls, found: Mapping[str, Result]) -> Figures | None:
        """The medians of the rows that count here; None when one of them is missing."""
        memory = "memory-15000" if "memory-15000" in found else "memory-4000"
        wanted = [
            (memory, "empty_bytes", 1.0),
            (memory, "bytes_per_subscriber", 1.0),
            ("fan-out-2000", "rate", 1.0),
            ("jobs-burst", "rate", 1.0),
            ("connect-16", "rate", 1.0),
            ("elsewhere", "us_per_message", 1e-6),
            ("store", "redis_us_per_message", 1e-6),
            ("jobs-burst", "redis_bytes_out_per_message", 1.0),
        ]
        spreads = [row in found and found[row].spread("jobcast", name) for row, name, _ in wanted]
        values = [
            spread.median * unit for spread, (_, _, unit) in zip(spreads, wanted, strict=True) if spread
        ]
        return cls(*values) if len(values) == len(wanted) else None

    def needs(self, subscribers: int) -> Needs:
        """Everybody follows one job of their own."""
        messages = subscribers * RUNNING * PER_SECOND
        by_memory = math.ceil(subscribers * self.per_subscriber / (PROCESS_MEMORY - self.empty))
        by_delivery = math.ceil(messages / (LOAD * self.per_job))
        by_return = math.ceil(subscribers / (self.connects * RETURN_WITHIN))
        processes = max(by_memory, by_delivery, by_return)
        return Needs(
            subscribers,
            messages,
            by_memory,
            by_delivery,
            by_return,
            stores=math.ceil(messages * self.store / LOAD),
            one_channel=messages * self.envelope * processes,
            channel_per_topic=messages * self.envelope,
        )

    def one_room(self, subscribers: int) -> int:
        """Processes when everybody follows the same job."""
        return math.ceil(subscribers * PER_SECOND / (LOAD * self.fan_out))

    def limits(self) -> list[tuple[str, float]]:
        """How many subscribers one of each can take, the fewest first."""
        share = RUNNING * PER_SECOND
        found = [
            ("returning after a restart, per web process", self.connects * RETURN_WITHIN),
            ("memory, per web process", (PROCESS_MEMORY - self.empty) / self.per_subscriber),
            ("delivering, per web process", LOAD * self.per_job / share),
            ("hearing what is for others, whole system on one channel", LOAD / self.elsewhere / share),
            ("storing, per Redis", LOAD / self.store / share),
        ]
        return sorted(found, key=lambda limit: limit[1])

    def blocks(self) -> dict[str, str]:
        """The generated parts of ``docs/capacity.md``."""
        return {"figures": self._measured(), "limits": self._limits(), "scales": self._scales()}

    def _measured(self) -> str:
        lines = [
            ["`empty`", "memory of a web process without clients", f"{number(self.empty / 2**20)} MiB"],
            ["`client`", "memory per subscribed client", f"{number(self.per_subscriber)} bytes"],
            ["`fanout`", "deliveries per second, one room", f"{number(self.fan_out)}/s"],
            ["`single`", "deliveries per second, one client a room", f"{number(self.per_job)}/s"],
            ["`accept`", "connections per second", f"{number(self.connects)}/s"],
            ["`other`", "web core's time per message for others", f"{number(self.elsewhere * 1e6)} µs"],
            ["`store`", "Redis core's time per stored update", f"{number(self.store * 1e6)} µs"],
            ["`bytes`", "what Redis sends a web process per message", f"{number(self.envelope)} bytes"],
        ]
        return table(["name", "measured", "one web process or one Redis"], lines)

    def _limits(self) -> str:
        lines = [[what, f"{number(subscribers)}"] for what, subscribers in self.limits()]
        return table(["what gives in", "at so many subscribers"], lines)

    def _scales(self) -> str:
        columns = [self.needs(subscribers) for subscribers in SCALES]
        lines = [
            ["running jobs = messages per second", *(f"{need.messages:,.0f}" for need in columns)],
            ["web processes for memory", *(f"{need.by_memory:,}" for need in columns)],
            ["web processes for delivering", *(f"{need.by_delivery:,}" for need in columns)],
            ["web processes for everybody's return", *(f"{need.by_return:,}" for need in columns)],
            [f"machines of {PER_MACHINE} processes", *(f"{need.machines:,}" for need in columns)],
            ["Redis servers for the ledger", *(f"{need.stores:,}" for need in columns)],
            ["Redis sends, one channel for all", *(_bandwidth(need.one_channel) for need in columns)],
            ["Redis sends, a channel per topic", *(_bandwidth(need.channel_per_topic) for need in columns)],
            ["web processes if all follow one job", *(f"{self.one_room(n):,}" for n in SCALES)],
        ]
        return table(["subscribers", *(f"{subscribers:,}" for subscribers in SCALES)], lines)


def _bandwidth(bytes_per_second: float) -> str:
    """Bits per second as networks are sold."""
    bits = bytes_per_second * 8
    for size, unit in ((1e12, "Tbit/s"), (1e9, "Gbit/s"), (1e6, "Mbit/s")):
        if bits >= size:
            return f"{number(bits / size)} {unit}"
    return f"{number(bits / 1e3)} kbit/s"
