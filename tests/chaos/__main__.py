"""``python -m tests.chaos``: run scenarios, print their figures, and fail when a bound is broken."""

from __future__ import annotations

import argparse
import logging
import sys
import time
from pathlib import Path

from tests.chaos import cost, report, slow, soak
from tests.chaos.run import run
from tests.chaos.scenarios import SCENARIOS

MEASURES = {"cost": cost.measure, "slow": slow.measure}


def main() -> int:
    arguments = _arguments()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    wanted = arguments.scenario or (["soak"] if arguments.soak else ["all"])
    result = report.begin(arguments.seed, arguments.jobs)
    print(f"seed {arguments.seed}, {arguments.jobs} jobs per scenario, {result['machine']}", flush=True)
    for scenario in SCENARIOS:
        if {"all", scenario.name} & set(wanted):
            print(f"\n{scenario.name}: {scenario.what}", flush=True)
            report.add(result, run(scenario, arguments.seed, arguments.jobs))
            report.save(result, arguments.json)
    for name, measure in MEASURES.items():
        if {"all", name} & set(wanted):
            print(f"\n{name}: {measure.__doc__}", flush=True)
            report.add_measure(result, name, measure())
            report.save(result, arguments.json)
    if arguments.soak:
        print(f"\nsoak: {soak.measure.__doc__}", flush=True)
        report.add_measure(result, "soak", soak.measure(arguments.soak))
        report.save(result, arguments.json)
    print("\n" + report.table(result))
    if arguments.page:
        report.write_page(result, arguments.page)
    return report.exit_code(result)


def _arguments() -> argparse.Namespace:
    names = [scenario.name for scenario in SCENARIOS] + [*MEASURES, "all"]
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=int(time.time()), help="decides order and timing")
    parser.add_argument("--jobs", type=int, default=500, help="per scenario")
    parser.add_argument("--scenario", action="append", choices=names, help="may be given more than once")
    parser.add_argument("--soak", type=float, metavar="MINUTES", help="this long, instead of the scenarios")
    parser.add_argument("--json", type=Path, default=Path("var/chaos.json"), help="where figures are written")
    parser.add_argument("--page", type=Path, help="a page whose result table is to be replaced")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
