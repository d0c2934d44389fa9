"""Redis behind Sentinel: the primary is killed while jobs run, and nobody has to be told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from jobcast import Settings
from jobcast.celery import make_celery
from jobcast.errors import InvalidSetting
from jobcast.ledger.sentinel import SentinelUrl
from tests.sentinel import Watched
from tests.stack import Stack, wait_for
from tests.watcher import Watcher, assert_no_regression

BODY = {"brandId": "b", "userId": "u", "posts": [{"content": "hi"}]}


@pytest.fixture
def watched(tmp_path) -> Iterator[Watched]:
    with Watched(tmp_path) as running:
        yield running


def test_jobs_go_on_with_the_successor_of_a_primary_that_was_killed(own_stack: Stack, watched: Watched):
    """The running one ends, the one that is begun afterwards too, for a browser that stayed connected."""
    own_stack.environment |= {"REDIS_URL": watched.url, "SOCKETIO_DEBOUNCE_MS": "100"}
    own_stack.start_web()
    own_stack.start_worker()
    settings = Settings(redis_url=watched.url)
    with closing(make_celery(settings)) as celery, Watcher(own_stack.url) as watching:
        watching.call("subscribe-job", "j")
        celery.send_task("tests.count", args=(100, 0.05), task_id="j")
        watching.wait_for_status("j", "in_progress")
        watched.kill_primary()
        last = watching.wait_for_status("j", "completed")
        assert (last["completed"], last["progress"]) == (100, 100)
        assert_no_regression(watching.updates("j"))
        wait_for(lambda: own_stack.get("/readyz").status == 200, 10, "a web process that is ready again")
        accepted = own_stack.post("/api/jobs/publish", BODY)
        assert accepted.status == 202
        path = f"/api/jobs/{accepted.json()['jobId']}"
        wait_for(lambda: own_stack.get(path).json()["status"] == "published", 20, "a job after the failover")
    assert "Traceback" not in (own_stack.folder / "web.log").read_text()


def test_a_url_says_which_sentinels_service_and_database():
    """Celery is told the same in its own way."""
    url = SentinelUrl.parse("redis+sentinel://ana:p%40ss@a,b:26380/jobs/3?sentinel_password=s")
    assert url.sentinels == (("a", 26379), ("b", 26380))
    assert (url.service, url.database, url.username, url.password) == ("jobs", 3, "ana", "p@ss")
    assert url.celery_url == "sentinel://ana:p%40ss@a:26379/3;sentinel://ana:p%40ss@b:26380/3"
    assert url.celery_options == {"master_name": "jobs", "sentinel_kwargs": {"password": "s"}}


@pytest.mark.parametrize(
    "url",
    ["redis+sentinel://a:26379", "redis+sentinel://a:26379/jobs/x", "sentinel://a:99999/jobs",
     "sentinel:///jobs", "sentinel://a/jobs?db=1"],
)  # fmt: skip
def test_a_sentinels_url_that_cannot_be_used_is_said_by_name(url, monkeypatch):
    """Before anything is connected."""
    monkeypatch.setenv("REDIS_URL", url)
    with pytest.raises(InvalidSetting, match=r"^REDIS_URL: "):
        Settings.from_environment()
