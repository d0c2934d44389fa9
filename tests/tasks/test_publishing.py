"""The publishing tasks: what the ledger and the user's inbox hear of them."""

from __future__ import annotations

import pytest

from tasks.errors import InvalidPost, InvalidTable, PublishingFailed
from tasks.publishing import draft, publish
from tests.tasks.conftest import csv_text, notifications_of

OWNER = {"brand_id": "acme", "user_id": "ana"}
POSTS = [{"content": "one", "media": ["a.png"], "platforms": ["local", "instagram"]}, {"content": "=two"}]


@pytest.fixture
def job(ledger, flush):
    """What the ledger says of job-1, after everything was delivered."""

    def read():
        flush()
        return ledger.job("job-1")

    return read


@pytest.fixture
def inbox(ledger, flush):
    """What ana was told, oldest first."""

    def read():
        flush()
        return notifications_of(ledger, "ana")

    return read


def run(**arguments):
    return publish.apply(task_id="job-1", kwargs=OWNER | arguments)


def test_posts_are_published_and_their_owner_is_told(job, inbox, place):
    """The job ends as published, with its details; the formula-like text is stored as it is."""
    assert run(posts=POSTS).state == "SUCCESS"
    state = job()
    assert (state.status, state.progress, state.completed, state.total) == ("published", 100, 3, 3)
    assert state.details["published"] == 3
    assert [d.post.content for d in place.storage.deliveries("job-1")] == ["one", "one", "=two"]
    (notification,) = inbox()
    assert (notification.type, notification.severity) == ("job-completed", "success")
    assert (notification.brand_id, notification.action_url) == ("acme", "/?job=job-1")
    assert notification.message == "2 posts published to local, instagram"


def test_a_calendar_is_published(job):
    """Its rows are the posts."""
    run(calendar_csv=csv_text(("Text", "Instagram"), ("one", "TRUE"), ("two", "TRUE")))
    assert (job().status, job().details["posts"]) == ("published", 2)


def test_a_second_delivery_publishes_and_notifies_once(job, inbox, place):
    """Idempotent, whatever the queue does."""
    run(posts=POSTS)
    before = [(d.published_at, d.attempts) for d in place.storage.deliveries("job-1")]
    run(posts=POSTS)
    assert [(d.published_at, d.attempts) for d in place.storage.deliveries("job-1")] == before
    assert len(inbox()) == 1
    assert job().status == "published"


def test_failed_deliveries_fail_the_job_with_their_reasons(job, inbox):
    """The rest is published; the failure keeps its progress."""
    result = run(posts=[{"content": "bad", "media": ["../x"]}, {"content": "good"}])
    assert isinstance(result.result, PublishingFailed)
    state = job()
    assert state.status == "failed"
    assert state.error.startswith("1 of 2 deliveries failed: post 1 on local: media '../x' is not")
    assert (state.details["published"], state.details["failed"]) == (1, 1)
    (notification,) = inbox()
    assert (notification.type, notification.severity) == ("job-failed", "error")
    assert notification.message == state.error


@pytest.mark.parametrize(
    ("content", "error"),
    [
        ({"posts": [{"content": "x", "platforms": ["myspace"]}]}, "post 1: no platform is called 'myspace'"),
        ({"calendar_csv": "Text,Facebook\n,TRUE\n"}, 'content calendar, row 2, column "Text": is empty'),
        ({"calendar_csv": "Text,Facebook\n"}, "there are no posts to publish"),
        ({}, "there are no posts to publish"),
    ],
)
def test_content_that_cannot_be_used_fails_the_job_before_anything_goes_out(
    job, inbox, place, content, error
):
    """With one clear line, for the bar and for the inbox."""
    assert run(**content).state == "FAILURE"
    assert job().status == "failed"
    assert job().error.startswith(error)
    assert [n.type for n in inbox()] == ["job-failed"]
    assert place.storage.count_posts("job-1") == 0


def test_a_draft_waits_for_approval_and_is_published_under_its_job(job, inbox, place):
    """draft → pending, then the publishing task finds the posts by its own id."""
    draft.apply(kwargs=OWNER | {"job_id": "job-1", "posts": POSTS})
    assert job().status == "pending"
    assert {d.status for d in place.storage.deliveries("job-1")} == {"pending"}
    assert [(n.type, n.message) for n in inbox()] == [("approval-needed", "2 posts waiting for approval")]
    run()
    assert (job().status, job().details["published"]) == ("published", 3)
    assert {d.status for d in place.storage.deliveries("job-1")} == {"published"}
    assert [n.type for n in inbox()] == ["approval-needed", "job-completed"]


def test_a_draft_is_told_before_it_waits(ledger, job):
    """The web process has said draft already; the task that says it again changes nothing."""
    draft.apply(kwargs=OWNER | {"job_id": "job-1", "calendar_csv": "Text,Local\nx,TRUE\n"})
    assert job().status == "pending"


def test_a_late_second_draft_does_not_take_a_published_job_back(job, ledger, flush):
    """Nor ask for an approval that was given, even when the inbox was emptied meanwhile."""
    draft.apply(kwargs=OWNER | {"job_id": "job-1", "posts": POSTS})
    run()
    flush()
    ledger.clear("ana")
    draft.apply(kwargs=OWNER | {"job_id": "job-1", "posts": POSTS})
    assert job().status == "published"
    assert ledger.unread("ana") == 0


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        ({"calendar_csv": "Text\nx\n"}, InvalidTable),
        ({"posts": [{"content": ""}]}, InvalidPost),
        ({"posts": []}, PublishingFailed),
    ],
)
def test_a_draft_that_cannot_be_used_fails_its_job(job, inbox, content, kind):
    """It would otherwise stay a draft for ever."""
    result = draft.apply(kwargs=OWNER | {"job_id": "job-1"} | content)
    assert isinstance(result.result, kind)
    assert (job().status, job().error) == ("failed", str(result.result))
    assert [n.type for n in inbox()] == ["job-failed"]


def test_ids_of_any_allowed_length_can_be_notified(ledger, flush):
    """A job's id may be as long as a notification's own."""
    publish.apply(task_id="j" * 128, kwargs=OWNER | {"posts": POSTS})
    flush()
    assert len(notifications_of(ledger, "ana")) == 1
