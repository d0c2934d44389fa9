"""Known holes in what is installed: ``pip-audit`` and ``npm audit``, with dated exceptions only.

An advisory that cannot be answered by an upgrade yet goes into ``scripts/audit_exceptions.toml`` with a
reason and a last day; after that day it fails again. Where an advisory service cannot be reached, that is
said loudly; ``--strict``, for a machine that can reach them, makes it a failure as well.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

from scripts import node

ROOT: Final = Path(__file__).resolve().parent.parent
EXCEPTIONS: Final = ROOT / "scripts" / "audit_exceptions.toml"
#: Seconds for one audit.
TIMEOUT: Final = 180


@dataclass(frozen=True, slots=True)
class Finding:
    """One advisory about one package; ``names`` are all the ids it is known by."""

    package: str
    version: str
    names: frozenset[str]

    def __str__(self) -> str:
        return f"{self.package} {self.version}: {', '.join(sorted(self.names))}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What an audit found, and what it could not ask, in words; both may be empty."""

    tool: str
    findings: Sequence[Finding] = ()
    unasked: str = ""


@dataclass(frozen=True, slots=True)
class Pardon:
    """An advisory that is let through up to and including ``until``, for a stated reason."""

    id: str
    package: str
    until: date
    reason: str

    def covers(self, finding: Finding, today: date) -> bool:
        return self.package == finding.package and self.id in finding.names and today <= self.until


def read_pardons(text: str) -> list[Pardon]:
    """The exceptions file; raises TypeError or ValueError for one without id, package, day and reason."""
    pardons = [Pardon(**entry) for entry in tomllib.loads(text).get("exception", [])]
    for pardon in pardons:
        if type(pardon.until) is not date or not pardon.reason.strip():
            raise ValueError(f"{pardon.id}: an exception has a day (until = 2030-01-31) and a reason")
    return pardons


def read_pip(text: str) -> Answer:
    """``pip-audit --format json``. What it had to skip it did not ask about, though it exits with 0."""
    packages = json.loads(text)["dependencies"]
    skipped = [package["name"] for package in packages if "skip_reason" in package]
    findings = [
        Finding(package["name"], package["version"], frozenset([hole["id"], *hole["aliases"]]))
        for package in packages
        for hole in package.get("vulns", ())
    ]
    unasked = f"{len(skipped)} of {len(packages)} packages" if skipped else ""
    return Answer("pip-audit", findings, unasked)


def read_npm(text: str) -> Answer:
    """``npm audit --json``; without a report it has an error, or nothing."""
    report: dict[str, Any] = json.loads(text or "{}")
    if "vulnerabilities" not in report:
        return Answer("npm audit", unasked=str(report.get("message") or "no report")[:300])
    findings = [
        Finding(hole["name"], str(hole.get("range", "")), frozenset([_advisory(hole)]))
        for entry in report["vulnerabilities"].values()
        for hole in entry["via"]
        if isinstance(hole, dict)  # a text names another entry of the same report
    ]
    return Answer("npm audit", findings)


def _advisory(hole: dict[str, Any]) -> str:
    return str(hole.get("url", "")).rpartition("/")[2] or str(hole.get("source"))


def verdict(
    answers: Iterable[Answer], pardons: Sequence[Pardon], today: date, *, strict: bool
) -> tuple[int, list[str]]:
    """The exit code, and the lines to print."""
    code, lines = 0, []
    for answer in answers:
        open_ = [f for f in answer.findings if not any(p.covers(f, today) for p in pardons)]
        lines += [f"{answer.tool}: {finding}" for finding in open_]
        if answer.unasked:
            lines.append(f"{answer.tool}: COULD NOT ASK the advisory service: {answer.unasked}")
        if not open_ and not answer.unasked:
            lines.append(f"{answer.tool}: nothing open, {len(answer.findings)} excepted")
        if open_ or (strict and answer.unasked):
            code = 1
    late = [f"exception {p.id} for {p.package} ended on {p.until}" for p in pardons if p.until < today]
    return (1 if late else code), lines + late


def ask_pip() -> Answer:
    """About everything that the two compiled files name, installed here or not."""
    files = [part for name in ("requirements.txt", "requirements-dev.txt") for part in ("-r", name)]
    options = ["--no-deps", "--disable-pip", "--progress-spinner", "off", "--format", "json"]
    return _ask("pip-audit", [sys.executable, "-m", "pip_audit", *files, *options], read_pip)


def ask_npm() -> Answer:
    """About everything in the client's lock file."""
    command = node.command("npm", "--prefix", "client", "audit", "--json", "--package-lock-only")
    return _ask("npm audit", command, read_npm)


def _ask(tool: str, command: list[str], read: Any) -> Answer:
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=node.environment(), capture_output=True, text=True, timeout=TIMEOUT
        )
        answer: Answer = read(done.stdout)
    except subprocess.TimeoutExpired:
        return Answer(tool, unasked=f"no answer in {TIMEOUT} s")
    except (ValueError, KeyError):
        last = done.stderr.strip().splitlines()[-1:]
        return Answer(tool, unasked=last[0][:300] if last else "no report")
    return answer


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when nothing is open; 1 for an open advisory or an exception whose day is over."""
    parser = argparse.ArgumentParser(description="Known holes in what is installed.")
    parser.add_argument("--strict", action="store_true", help="fail when a service cannot be asked")
    strict = parser.parse_args(arguments).strict
    pardons = read_pardons(EXCEPTIONS.read_text())
    code, lines = verdict([ask_pip(), ask_npm()], pardons, date.today(), strict=strict)
    print("\n".join(lines), file=sys.stderr if code else sys.stdout)
    return code


if __name__ == "__main__":
    sys.exit(main())
