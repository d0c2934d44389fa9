"""What the dependency audit decides, on reports in the two tools' formats."""

from __future__ import annotations

import json
from datetime import date

import pytest

from scripts import audit
from scripts.audit import Answer, Finding, Pardon, read_npm, read_pardons, read_pip, verdict

TODAY = date(2026, 11, 23)
HOLE = {
    "id": "PYSEC-2026-1",
    "aliases": ["GHSA-aaaa", "CVE-2026-1"],
    "fix_versions": ["2"],
    "description": "x",
}
PIP = {
    "dependencies": [
        {"name": "flask", "version": "1", "vulns": [HOLE]},
        {"name": "six", "version": "1", "vulns": []},
    ]
}
VIA = {
    "source": 7,
    "name": "ws",
    "url": "https://example.com/advisories/GHSA-bbbb",
    "range": "<8",
    "severity": "high",
}
NPM = {"vulnerabilities": {"ws": {"name": "ws", "via": [VIA]}, "socket": {"name": "socket", "via": ["ws"]}}}
FLASK = Finding("flask", "1", frozenset({"PYSEC-2026-1", "GHSA-aaaa", "CVE-2026-1"}))


def pardon(**change: object) -> Pardon:
    return Pardon(
        **{"id": "CVE-2026-1", "package": "flask", "until": TODAY, "reason": "not reachable"} | change
    )


def decide(*answers: Answer, pardons=(), strict=False) -> tuple[int, str]:
    code, lines = verdict(answers, pardons, TODAY, strict=strict)
    return code, "\n".join(lines)


def test_both_tools_reports_are_read():
    """An advisory has several names; what only names another entry is not counted twice."""
    assert read_pip(json.dumps(PIP)) == Answer("pip-audit", [FLASK])
    assert read_npm(json.dumps(NPM)) == Answer("npm audit", [Finding("ws", "<8", frozenset({"GHSA-bbbb"}))])


def test_a_hole_fails_the_check():
    """Named with its package and all its ids."""
    code, said = decide(read_pip(json.dumps(PIP)))
    assert code == 1
    assert "flask 1: CVE-2026-1, GHSA-aaaa, PYSEC-2026-1" in said


def test_nothing_found_passes():
    """And says so."""
    code, said = decide(Answer("pip-audit"), read_npm('{"vulnerabilities": {}}'))
    assert (code, said) == (0, "pip-audit: nothing open, 0 excepted\nnpm audit: nothing open, 0 excepted")


def test_an_exception_holds_up_to_its_last_day():
    """For its own package and advisory, under any of its names."""
    answer = Answer("pip-audit", [FLASK])
    assert decide(answer, pardons=[pardon()]) == (0, "pip-audit: nothing open, 1 excepted")
    assert decide(answer, pardons=[pardon(id="GHSA-aaaa")])[0] == 0
    assert decide(answer, pardons=[pardon(package="ws")])[0] == 1
    assert decide(answer, pardons=[pardon(id="CVE-2026-2")])[0] == 1


def test_an_exception_whose_day_is_over_fails_even_when_nothing_is_found():
    """Nobody forgets to look again."""
    late = pardon(until=date(2026, 11, 22))
    assert decide(Answer("pip-audit", [FLASK]), pardons=[late])[0] == 1
    code, said = decide(Answer("pip-audit"), pardons=[late])
    assert (code, "ended on 2026-11-22" in said) == (1, True)


@pytest.mark.parametrize(
    "answer",
    [
        read_pip(json.dumps({"dependencies": [{"name": "six", "skip_reason": "not found"}]})),
        read_npm('{"message": "405 Method Not Allowed"}'),
        read_npm(""),
    ],
)
def test_a_service_that_cannot_be_asked_is_said_and_fails_a_strict_check_only(answer):
    """pip-audit ends with 0 when it could ask about nothing at all; that is not a clean answer."""
    code, said = decide(answer)
    assert (code, "COULD NOT ASK" in said, "nothing open" in said) == (0, True, False)
    assert decide(answer, strict=True)[0] == 1


@pytest.mark.parametrize(
    "text",
    [
        '[[exception]]\nid = "a"\npackage = "b"\nreason = "c"',
        '[[exception]]\nid = "a"\npackage = "b"\nreason = "c"\nuntil = "2030-01-01"',
        '[[exception]]\nid = "a"\npackage = "b"\nreason = " "\nuntil = 2030-01-01',
        '[[exception]]\nid = "a"\npackage = "b"\nreason = "c"\nuntil = 2030-01-01\nforever = true',
    ],
)
def test_an_exception_without_a_day_or_a_reason_is_no_exception(text):
    """The file is refused as a whole."""
    with pytest.raises((TypeError, ValueError)):
        read_pardons(text)


def test_the_file_of_exceptions_can_be_read():
    """As it is committed."""
    assert all(pardon.reason for pardon in read_pardons(audit.EXCEPTIONS.read_text()))


def test_a_tool_that_answers_nonsense_was_not_asked(monkeypatch):
    """Its last words say why."""
    command = [audit.sys.executable, "-c", "import sys; sys.exit('no route to host')"]
    answer = audit._ask("pip-audit", command, read_pip)
    assert answer == Answer("pip-audit", unasked="no route to host")
