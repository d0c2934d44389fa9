"""What people are told of an exception: a text that is meant for them, or else the type."""

from __future__ import annotations

import sqlite3
from types import SimpleNamespace

import pytest
from celery import Celery
from celery.exceptions import Retry, WorkerLostError

from jobcast import PublicError
from jobcast.celery.error_text import DETAIL, error_text
from jobcast.topics import job_topic
from tasks.publishing import publish
from tests.tasks.conftest import notifications_of

SECRET = "INSERT INTO posts VALUES ('ana') at 10.0.0.7:5432"


class OfTheShop(PublicError):
    """Somebody's own."""


@pytest.fixture
def app() -> Celery:
    return Celery("t", broker="memory://", set_as_current=False)


def task(**fields: object) -> SimpleNamespace:
    return SimpleNamespace(request=SimpleNamespace(jobcast={"requestId": "r-1"}), **fields)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (OfTheShop("no such brand"), "no such brand"),
        (OfTheShop(), "OfTheShop"),
        (KeyError("sku"), "'sku'"),  # in the task's throws
        (WorkerLostError("signal 9 (SIGKILL)"), "signal 9 (SIGKILL)"),
        (ValueError(SECRET), "ValueError (the log has more, request r-1)"),
        (Retry(exc=ValueError(SECRET), when=2), "Retry in 2s: ValueError (the log has more, request r-1)"),
        (Retry(exc=OfTheShop("busy"), when=2), "Retry in 2s: busy"),
        (Retry(SECRET, when=2), "Retry in 2s: asked for by its task"),
    ],
)
def test_only_a_text_that_is_meant_for_people_is_shown(app, error, text):
    """Of anything else the type, and where to look."""
    assert error_text(app, error, task(throws=(KeyError,))) == text


def test_a_task_may_choose_and_a_hook_that_fails_decides_nothing(app):
    """For other people's exceptions."""
    kind = task(public_error=lambda error: "on Monday" if isinstance(error, OSError) else 1 / 0)
    assert error_text(app, OSError(SECRET), kind) == "on Monday"
    assert SECRET not in error_text(app, ValueError(SECRET), kind)


def test_one_setting_shows_every_text(app, monkeypatch):
    """In the app's configuration, or the environment of an app that has none."""
    monkeypatch.setenv("JOBCAST_ERROR_DETAIL", "all")
    assert error_text(app, ValueError(SECRET)) == SECRET
    app.conf[DETAIL] = "public"
    assert SECRET not in error_text(app, ValueError(SECRET))


def test_an_exception_whose_text_fails_is_called_by_its_type(app):
    """A report must not fail of it."""

    class Odd(PublicError):
        def __str__(self) -> str:
            raise RuntimeError

    assert error_text(app, Odd()) == "Odd"


def test_no_sql_reaches_a_job_or_an_inbox(settings, ledger, place, flush):
    """A column that a newer release renamed."""
    place.storage.count_posts("none")
    with sqlite3.connect(settings.database_url.removeprefix("sqlite:///")) as raw:
        raw.execute("ALTER TABLE posts RENAME COLUMN content TO text")
    raw.close()
    given = {"brand_id": "acme", "user_id": "ana", "posts": [{"content": "geheim"}]}
    publish.apply(task_id="j", kwargs=given)
    flush()
    told = [event.payload for event in ledger.history(job_topic("j")).events]
    told += [notification.message for notification in notifications_of(ledger, "ana")]
    assert ledger.job("j").error == "OperationalError (the worker's log has more)"
    assert not [text for text in told if "geheim" in text or "INSERT" in text or "sqlite" in text]
