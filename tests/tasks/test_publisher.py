"""A publishing run: what is tried again, what stops it, and what a second run leaves alone."""

from __future__ import annotations

import dataclasses

import pytest

from jobcast import JobCancelled, Progress
from tasks.errors import PublishingFailed
from tasks.platforms import PermanentPlatformError, TemporaryPlatformError
from tasks.posts import NewPost
from tasks.publisher import DEATHS, TRIES, Publisher


class Death(BaseException):
    """The worker's, in the middle of a delivery; nothing may catch it."""


class Scripted:
    """A platform that raises what it is told to, by content, and notes what it took."""

    name = "local"

    def __init__(self) -> None:
        self.faults: dict[str, list[Exception]] = {}
        self.asked: list[str] = []
        self.taken: list[str] = []
        self.before = lambda post: None

    def publish(self, post, media):
        self.before(post)
        self.asked.append(post.key)
        if faults := self.faults.get(post.content):
            raise faults.pop(0)
        for item in media:
            item.open().close()
        self.taken.append(post.content)
        return f"id of {post.key}"


@pytest.fixture
def platform():
    return Scripted()


@pytest.fixture
def run(place, platform):
    """Store posts of these contents under job-1, unless they are there, and run; pauses are noted."""
    scripted = dataclasses.replace(place, platforms={"local": platform, "instagram": platform})
    pauses: list[float] = []

    def go(*contents: str, progress=None, media=(), platforms=("local",)):
        posts = [NewPost(content, tuple(media), platforms) for content in contents]
        place.storage.add_posts("job-1", "acme", "ana", posts)
        return Publisher(scripted, progress or Progress("job-1"), pauses.append).run("job-1")

    go.pauses = pauses
    return go


def statuses(place):
    return [delivery.status for delivery in place.storage.deliveries("job-1")]


def test_everything_is_published_and_counted(run, place, platform):
    """The details are the contract's, and the bar's."""
    progress = Progress("job-1")
    details = run("one", "two", progress=progress, platforms=("instagram", "local"))
    assert details == {
        "posts": 2,
        "published": 4,
        "failed": 0,
        "platforms": {"instagram": {"published": 2, "failed": 0}, "local": {"published": 2, "failed": 0}},
    }
    facts = progress.facts()
    assert (facts.completed, facts.total, facts.platform, facts.details) == (4, 4, "local", details)
    assert place.storage.deliveries("job-1")[0].external_id == "id of job-1/0/instagram"
    assert statuses(place) == ["published"] * 4


def test_a_temporary_error_is_tried_again_with_longer_pauses(run, platform):
    """In place, so that the rest keeps its order."""
    platform.faults["one"] = [TemporaryPlatformError("busy")] * (TRIES - 1)
    assert run("one", "two")["published"] == 2
    assert platform.taken == ["one", "two"]
    assert len(run.pauses) == TRIES - 1
    assert run.pauses == sorted(run.pauses)
    assert len(set(platform.asked)) == 2, "one key per delivery, however often it is sent"


def test_the_last_temporary_error_is_final(run, platform, place):
    """The delivery fails, the rest goes out."""
    platform.faults["one"] = [TemporaryPlatformError("still busy")] * TRIES
    with pytest.raises(PublishingFailed) as caught:
        run("one", "two")
    assert str(caught.value) == "1 of 2 deliveries failed: post 1 on local: still busy"
    assert statuses(place) == ["failed", "published"]


def test_permanent_errors_do_not_stop_the_rest_and_the_first_reasons_are_told(run, platform, place):
    """They are not tried again either."""
    platform.faults = {name: [PermanentPlatformError(f"no {name}")] for name in "abcd"}
    progress = Progress("job-1")
    with pytest.raises(PublishingFailed) as caught:
        run("a", "b", "c", "d", "e", progress=progress)
    assert str(caught.value) == (
        "4 of 5 deliveries failed: "
        "post 1 on local: no a; post 2 on local: no b; post 3 on local: no c; and 1 more"
    )
    assert statuses(place) == ["failed"] * 4 + ["published"]
    assert [d.error for d in place.storage.deliveries("job-1")][:2] == ["no a", "no b"]
    assert progress.facts().details["failed"] == 4
    assert run.pauses == []


def test_media_that_is_refused_fails_its_delivery_alone(run, place):
    """A path out of the media folder is a permanent error."""
    place.storage.add_posts("job-1", "acme", "ana", [
        NewPost("one", ("../../etc/passwd",), ("local",)), NewPost("two", ("a.png",), ("local",)),
    ])  # fmt: skip
    with pytest.raises(PublishingFailed, match="not a path inside the media folder"):
        run()
    assert statuses(place) == ["failed", "published"]


def test_a_second_run_skips_and_counts_what_is_published(run, platform):
    """As after a redelivery of the message."""
    run("one", "two")
    progress = Progress("job-1")
    assert run("one", "two", progress=progress)["published"] == 2
    assert platform.taken == ["one", "two"]
    assert (progress.facts().completed, progress.facts().total) == (2, 2)


def test_a_run_goes_on_where_a_dead_worker_was(run, platform, place):
    """What was in progress is sent again, under the same key."""

    def die(post):
        if post.content == "two":
            raise Death

    platform.before = die
    with pytest.raises(Death):
        run("one", "two", "three")
    assert statuses(place) == ["published", "in_progress", "approved"]
    platform.before = lambda post: None
    assert run()["published"] == 3
    assert platform.taken == ["one", "two", "three"]


def test_a_delivery_that_ends_every_worker_is_given_up(run, platform, place):
    """Otherwise its job would be delivered again for ever."""

    def die(post):
        if post.content == "poison":
            raise Death

    platform.before = die
    for _ in range(DEATHS):
        with pytest.raises(Death):
            run("poison", "fine")
    with pytest.raises(PublishingFailed, match=f"its worker stopped {DEATHS} times"):
        run()
    assert statuses(place) == ["failed", "published"]


def test_a_cancelled_run_stops_between_two_deliveries(run, platform, place):
    """What is out stays out; nothing is left half-done."""
    progress = Progress("job-1")
    platform.before = lambda post: progress.cancel()
    with pytest.raises(JobCancelled):
        run("one", "two", progress=progress)
    assert statuses(place) == ["published", "approved"]


def test_a_cancelled_run_does_not_wait_out_its_retries(run, platform, place):
    """The delivery that was being retried is put back."""
    progress = Progress("job-1")
    platform.before = lambda post: progress.cancel()
    platform.faults["one"] = [TemporaryPlatformError("busy")]
    with pytest.raises(JobCancelled):
        run("one", progress=progress)
    assert statuses(place) == ["approved"]
    assert run.pauses == []


def test_a_platform_that_is_gone_fails_its_deliveries(place):
    """A job that an older release stored."""
    place.storage.add_posts("job-1", "acme", "ana", [NewPost("one", (), ("myspace",))])
    with pytest.raises(PublishingFailed, match="no platform is called 'myspace'"):
        Publisher(place, Progress("job-1")).run("job-1")


def test_a_job_without_posts_fails(run):
    """Instead of succeeding at nothing."""
    with pytest.raises(PublishingFailed, match="no posts"):
        run()
