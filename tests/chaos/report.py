"""Figures as a line, a JSON file, a table and a page."""

from __future__ import annotations

import datetime
import json
import os
import platform
from pathlib import Path
from typing import Any, Final

from tests.chaos.judge import Figures

Result = dict[str, Any]
MARKS: Final = ("<!-- result -->", "<!-- end of result -->")
HEAD: Final = (
    "| scenario | seed | jobs | faults | subscriptions | finals | wrong ends | back-steps | ends twice "
    "| false losses | converged in | lost known in | holds |"
)


def begin(seed: int, jobs: int) -> Result:
    """An empty result that knows its machine."""
    return {"seed": seed, "jobs": jobs, "machine": machine(), "scenarios": [], "measures": {}}


def machine() -> str:
    """Processors, memory, system and Python."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    system = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    return f"{os.cpu_count()} cores ({_processor()}), {memory:.0f} GiB, {system}"


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"


def add(result: Result, figures: Figures) -> None:
    """Take a scenario in, and print it."""
    result["scenarios"].append(figures.as_json())
    print(
        f"  {figures.jobs} jobs, {figures.subscriptions} subscriptions, {figures.finals} finals, "
        f"{figures.forgotten} forgotten, "
        f"{figures.wrong_ends} wrong ends, {figures.regressions} regressions, {figures.duplicates} "
        f"duplicates, {figures.false_losses} false losses, converged in {figures.convergence:.2f} s, "
        f"lost known in {figures.lease:.2f} s; took {figures.seconds:.0f} s"
    )
    for line in figures.evidence:
        print(f"    {line}")


def add_measure(result: Result, name: str, measured: Result) -> None:
    """Take a measurement in, and print it."""
    result["measures"][name] = measured
    print("  " + measured["text"].replace("\n", "\n  "), flush=True)


def save(result: Result, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + "\n")


def table(result: Result) -> str:
    """Markdown; one line per scenario, then what was measured."""
    lines = [HEAD, "|---" * HEAD.count(" | ") + "|---|"] if result["scenarios"] else []
    lines += [_row(one) for one in result["scenarios"]]
    lines += [f"\n**{name}** {measured['text']}" for name, measured in result["measures"].items()]
    return "\n".join(lines)


def _row(one: Result) -> str:
    share = f"{one['finals']} ({100 * one['finals'] / max(one['subscriptions'] - one['forgotten'], 1):.2f} %)"
    lost = f"{one['lease']:.2f} s" if one["lease"] else "–"
    share += f" + {one['forgotten']} forgotten" if one["forgotten"] else ""
    holds = "yes" if one["counts_hold"] and one["times_hold"] else "**no**"
    cells = [one["scenario"], one["seed"], one["jobs"], one["faults"], one["subscriptions"], share]
    cells += [one["wrong_ends"], one["regressions"], one["duplicates"], one["false_losses"]]
    cells += [f"{one['convergence']:.2f} s", lost, holds]
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def write_page(result: Result, path: Path) -> None:
    """Replace what is between the page's two marks."""
    before, _, rest = path.read_text().partition(MARKS[0])
    _, _, after = rest.partition(MARKS[1])
    day = datetime.datetime.now(datetime.UTC).date()
    text = f"{MARKS[0]}\nOn {day}, {result['machine']}.\n\n{table(result)}\n{MARKS[1]}"
    path.write_text(before + text + after)


def exit_code(result: Result) -> int:
    """1 when a bound is broken."""
    scenarios = all(one["counts_hold"] and one["times_hold"] for one in result["scenarios"])
    measures = all(one["holds"] for one in result["measures"].values())
    return 0 if scenarios and measures else 1
