"""``docs/performance.md``, ``docs/capacity.md`` and the charts, out of the stored results."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from bench import capacity, charts, results
from bench.results import Result, Spread
from bench.rows import BYTES, CONNECTS, LABELS, NS, P99, RATE, ROWS, Figure, Row, Target
from bench.servers import ROOT
from bench.text import fill, number, table

PERFORMANCE: Final = ROOT / "docs" / "performance.md"
CAPACITY: Final = ROOT / "docs" / "capacity.md"
IMAGES: Final = ROOT / "docs" / "images"

#: Row, figure, and whether its values are too far apart for a linear scale.
CHARTS: Final[tuple[tuple[str, Figure, bool], ...]] = (
    ("fan-out-500", RATE, False),
    ("fan-out-2000", RATE, False),
    ("paced-500", P99, False),
    ("jobs-burst", RATE, False),
    ("jobs-paced", P99, True),
    ("memory-4000", BYTES, True),
    ("connect-16", CONNECTS, False),
    ("report", NS, True),
    ("iteration", NS, False),
)


def write() -> None:
    """Write every page and chart for which there are results."""
    for path, content in contents().items():
        path.write_text(content)


def contents() -> dict[Path, str]:
    """Pages and charts as the stored results want them."""
    found = {row.name: result for row in ROWS if (result := results.read(row.name))}
    measured = {"targets": targets(found), "rows": rows(found), "machine": machine(found)} if found else {}
    known = capacity.Figures.of(found)
    pages = {
        PERFORMANCE: _filled(PERFORMANCE, measured),
        CAPACITY: _filled(CAPACITY, known.blocks() if known else {}),
    }
    return pages | {
        IMAGES / f"bench-{name}.svg": chart(_row(name), found[name], figure, logarithmic)
        for name, figure, logarithmic in CHARTS
        if name in found
    }


def targets(found: Mapping[str, Result]) -> str:
    """What was to be reached, and whether it was."""
    lines = [
        target_line(row, target, found[row.name])
        for row in ROWS
        if row.name in found
        for target in row.targets
    ]
    return table(["work", "figure", "to reach", "measured", "reached"], lines)


def target_line(row: Row, target: Target, result: Result) -> list[str]:
    reached = result.reached(target)
    verdict = {True: "yes", False: "**no**", None: "not measured"}[reached]
    subject = (
        row.title if target.ours == "jobcast" or not target.peer else f"{row.title}: {LABELS[target.ours]}"
    )
    return [subject, target.figure.label, _goal(target), _measured(target, result), verdict]


def rows(found: Mapping[str, Result]) -> str:
    """Every row with everybody in it."""
    return "\n\n".join(_section(row, found[row.name]) for row in ROWS if row.name in found)


def machine(found: Mapping[str, Result]) -> str:
    """Where and when; one line per machine that results come from."""
    seen: dict[str, list[Result]] = {}
    for result in found.values():
        seen.setdefault(_machine_text(result), []).append(result)
    return "\n\n".join(f"{text} {_when(group)}" for text, group in seen.items())


def chart(row: Row, result: Result, figure: Figure, logarithmic: bool = False) -> str:
    """The medians of one row, in the order of the row."""
    spreads = [(entrant.name, result.spread(entrant.name, figure.name)) for entrant in row.entrants]
    bars = [charts.Bar(LABELS[name], spread, _is_ours(name)) for name, spread in spreads if spread]
    return charts.bar_chart(f"{row.title}: {figure.label}", figure.unit, bars, logarithmic=logarithmic)


def spread_text(spread: Spread, figure: Figure) -> str:
    """Median with lowest and highest."""
    unit = figure.unit if figure.unit.startswith("/") else f" {figure.unit}"
    return f"{number(spread.median)}{unit} ({number(spread.low)}–{number(spread.high)})"


def _section(row: Row, result: Result) -> str:
    lines = []
    for entrant in row.entrants:
        spreads = [result.spread(entrant.name, figure.name) for figure in row.figures]
        cells = [
            spread_text(spread, figure) if spread else "–"
            for spread, figure in zip(spreads, row.figures, strict=True)
        ]
        if any(spreads) or entrant.name in result.failures:
            lines.append([LABELS[entrant.name], *cells, _notes(result, entrant.name)])
    head = ["", *(figure.label for figure in row.figures), "notes"]
    return f"### {row.title[0].upper()}{row.title[1:]}\n\n{_picture(row)}{table(head, lines)}"


def _picture(row: Row) -> str:
    if row.name not in {name for name, _, _ in CHARTS}:
        return ""
    return f"![{row.title}](images/bench-{row.name}.svg)\n\n"


def _notes(result: Result, entrant: str) -> str:
    """How busy the load client was, and how often and how an entrant did not finish."""
    busy = result.spread(entrant, "load_share")
    notes = [f"load client busy {busy.median:.0%}"] if busy else []
    failures = result.failures.get(entrant, [])
    return "; ".join(notes + ([f"failed {len(failures)} ×: {failures[-1]}"] if failures else []))


def _goal(target: Target) -> str:
    sign = "≥" if target.figure.more_is_better else "≤"
    if target.peer:
        return f"{sign} {target.factor:g} × {LABELS[target.peer]}"
    return f"{sign} {number(target.factor)} {target.figure.unit}"


def _measured(target: Target, result: Result) -> str:
    ours = result.spread(target.ours, target.figure.name)
    if ours is None:
        return "–"
    if not target.peer:
        return spread_text(ours, target.figure)
    theirs, ratio = result.spread(target.peer, target.figure.name), result.ratio(target)
    if theirs is None or ratio is None:
        return spread_text(ours, target.figure)
    times = f"{number(ratio.median)} × ({number(ratio.low)}–{number(ratio.high)})"
    unit = target.figure.unit
    return f"{times}: {number(ours.median)} against {number(theirs.median)} {unit}"


def _machine_text(result: Result) -> str:
    m = result.machine
    packages = ", ".join(f"{name} {version}" for name, version in sorted(m["packages"].items()))
    return (
        f"{m['processor']}, {m['cores']} cores, {m['memory_gib']} GiB, {m['system']}, Python {m['python']}, "
        f"Node {m['node']}. {packages}."
    )


def _when(group: list[Result]) -> str:
    days = sorted({result.measured for result in group})
    loads = sorted({number(result.machine["load_before"]) for result in group}, key=float)
    counts = sorted({len(samples) for result in group for samples in result.samples.values()})
    return (
        f"Measured {' to '.join(dict.fromkeys((days[0], days[-1])))}, {counts[-1]} times each, with a load "
        f"average of {' to '.join(dict.fromkeys((loads[0], loads[-1])))} before a row began."
    )


def _filled(path: Path, blocks: Mapping[str, str]) -> str:
    page = path.read_text()
    for place, content in blocks.items():
        page = fill(page, place, content)
    return page


def _row(name: str) -> Row:
    return next(row for row in ROWS if row.name == name)


def _is_ours(name: str) -> bool:
    return name.startswith("jobcast") or name in ("advance", "track")
