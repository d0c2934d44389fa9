"""``python -m bench``: measure rows, store the results, and write the pages and charts they are shown in."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from bench import pages, results, servers
from bench.measure import Entrant, Sample, Site
from bench.results import Result
from bench.rows import ROWS, Row
from jobcast.embedded import EmbeddedValkey

REPEATS = 5


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parse(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # and leave no process behind
    if not options.pages:
        _measure_all(_chosen(options), options)
    pages.write()
    return 0


def _measure_all(rows: Iterable[Row], options: argparse.Namespace) -> None:
    servers.pin_this_process()
    with tempfile.TemporaryDirectory() as folder, EmbeddedValkey() as valkey:
        site = Site(valkey.url, servers.kinds(options.tree.resolve()), Path(folder))
        for row in rows:
            machine = results.machine()
            samples, failures = _measure(site, row, _repeats(options), _entrants(row, options))
            result = Result(row.name, samples, machine, results.today(), failures)
            _show(row, result)
            if not (options.quick or options.dry):
                result.write()


def _measure(
    site: Site, row: Row, repeats: int, entrants: Sequence[Entrant]
) -> tuple[dict[str, list[Sample]], dict[str, list[str]]]:
    """Samples by entrant, everybody in turn; and what went wrong where a sample is missing."""
    samples: dict[str, list[Sample]] = {entrant.name: [] for entrant in entrants}
    failures: dict[str, list[str]] = {}
    for repeat in range(repeats):
        for entrant in entrants:
            try:
                samples[entrant.name].append(row.measurement.sample(site, entrant))
            except (RuntimeError, OSError) as error:
                failures.setdefault(entrant.name, []).append(str(error).splitlines()[-1])
                print(f"{row.name}, {entrant.name}: {error}", file=sys.stderr)
        print(f"{row.name}: {repeat + 1} of {repeats}", file=sys.stderr, flush=True)
    return samples, failures


def _show(row: Row, result: Result) -> None:
    """The medians, on one line per entrant."""
    print(f"\n{row.title}")
    for name in result.samples:
        spreads = [(figure, result.spread(name, figure.name)) for figure in row.figures]
        texts = [
            f"{figure.label} {pages.spread_text(spread, figure)}" for figure, spread in spreads if spread
        ]
        print(f"  {name:14} {'; '.join(texts) or 'nothing'}", flush=True)


def _chosen(options: argparse.Namespace) -> list[Row]:
    names = {row.name for row in ROWS}
    unknown = set(options.only) - names
    if unknown:
        sys.exit(f"no such row: {', '.join(sorted(unknown))}; there are {', '.join(sorted(names))}")
    return [row for row in ROWS if not options.only or row.name in options.only]


def _entrants(row: Row, options: argparse.Namespace) -> list[Entrant]:
    """All of the row, or those asked for."""
    return [entrant for entrant in row.entrants if not options.entrants or entrant.name in options.entrants]


def _repeats(options: argparse.Namespace) -> int:
    return 1 if options.quick else int(options.repeat)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    names = ", ".join(row.name for row in ROWS)
    parser.add_argument("--only", nargs="+", default=[], metavar="ROW", help=names)
    parser.add_argument("--entrants", nargs="+", default=[], metavar="NAME", help="jobcast, node, limit …")
    parser.add_argument("--repeat", type=int, default=REPEATS, help=f"times each is measured ({REPEATS})")
    parser.add_argument("--quick", action="store_true", help="once each, and nothing is stored")
    parser.add_argument("--dry", action="store_true", help="store nothing")
    parser.add_argument("--tree", type=Path, default=servers.ROOT, help="checkout whose web is measured")
    parser.add_argument("--pages", action="store_true", help="measure nothing, write the pages anew")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
