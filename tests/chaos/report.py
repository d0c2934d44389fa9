"""Figures as a line, a JSON file, a table and a page."""

from __future__ import annotations

import datetime
import json
import os
import platform
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tests.chaos.judge import Figures
from tests.chaos.scenarios import SCENARIOS
from tests.stack import ROOT

Result = dict[str, Any]
MARKS: Final = ("<!-- result -->", "<!-- end of result -->")
HEAD: Final = (
    "| scenario | seed | jobs | faults | subscriptions | finals | wrong ends | back-steps | ends twice "
    "| false losses | converged in | lost known in | holds | at commit |"
)


def begin(seed: int, jobs: int) -> Result:
    """An empty result that knows its machine."""
    return {
        "seed": seed,
        "jobs": jobs,
        "machine": machine(),
        "commit": commit(),
        "scenarios": [],
        "measures": {},
    }


def commit() -> str:
    """What is measured: the checked-out commit, with a "+" when something in it was changed since."""
    command = ["git", "describe", "--always", "--exclude", "*", "--dirty=+"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


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
    result["scenarios"].append(figures.as_json() | {"commit": result["commit"]})
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
    result["measures"][name] = measured | {"text": f"(at {result['commit']}) {measured['text']}"}
    print("  " + measured["text"].replace("\n", "\n  "), flush=True)


def save(result: Result, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + "\n")


def table(result: Result) -> str:
    """Markdown; one line per scenario, then what was measured."""
    rows = {one["scenario"]: _row(one) for one in result["scenarios"]}
    return _page(rows, {name: measured["text"] for name, measured in result["measures"].items()})


def _page(rows: Mapping[str, str], texts: Mapping[str, str]) -> str:
    lines = [HEAD, "|---" * HEAD.count(" | ") + "|---|", *rows.values()] if rows else []
    return "\n".join([*lines, *(f"\n**{name}** {text}" for name, text in texts.items())])


def _row(one: Result) -> str:
    share = f"{one['finals']} ({100 * one['finals'] / max(one['subscriptions'] - one['forgotten'], 1):.2f} %)"
    lost = f"{one['lease']:.2f} s" if one["lease"] else "–"
    share += f" + {one['forgotten']} forgotten" if one["forgotten"] else ""
    holds = "yes" if one["counts_hold"] and one["times_hold"] else "**no**"
    cells = [one["scenario"], one["seed"], one["jobs"], one["faults"], one["subscriptions"], share]
    cells += [one["wrong_ends"], one["regressions"], one["duplicates"], one["false_losses"]]
    cells += [f"{one['convergence']:.2f} s", lost, holds, one["commit"]]
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def write_page(result: Result, path: Path) -> None:
    """Put what was run between the page's two marks, in place of what it said of the same before."""
    before, _, rest = path.read_text().partition(MARKS[0])
    old, _, after = rest.partition(MARKS[1])
    rows = _rows(old) | {one["scenario"]: _row(one) for one in result["scenarios"]}
    order = [scenario.name for scenario in SCENARIOS]
    rows = {name: rows[name] for name in order if name in rows}
    texts = _texts(old) | {name: measured["text"] for name, measured in result["measures"].items()}
    day = datetime.datetime.now(datetime.UTC).date()
    path.write_text(
        f"{before}{MARKS[0]}\nOn {day}, {result['machine']}.\n\n{_page(rows, texts)}\n{MARKS[1]}{after}"
    )


def _rows(page: str) -> dict[str, str]:
    """The lines of the table of scenarios, by scenario."""
    names = {scenario.name for scenario in SCENARIOS}
    lines = [line for line in page.splitlines() if line.startswith("| ")]
    return {name: line for line in lines if (name := line.split(" | ")[0].removeprefix("| ")) in names}


def _texts(page: str) -> dict[str, str]:
    """What was measured, by name."""
    found = re.findall(r"^\*\*(\w+)\*\* (.*?)(?=\n\*\*\w+\*\* |\Z)", page, re.MULTILINE | re.DOTALL)
    return {name: text.strip() for name, text in found}


def exit_code(result: Result) -> int:
    """1 when a bound is broken."""
    scenarios = all(one["counts_hold"] and one["times_hold"] for one in result["scenarios"])
    measures = all(one["holds"] for one in result["measures"].values())
    return 0 if scenarios and measures else 1
