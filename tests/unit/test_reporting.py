"""A set-up that cannot report: tasks run as if Jobcast were not there, and one line says why."""

from __future__ import annotations

import pytest
from celery import Celery
from celery.app import app_or_default

from jobcast import broadcaster
from jobcast.celery import ProgressTask, reporting
from jobcast.celery.reporting import NullReporter, reporter_of
from jobcast.settings import Settings

REDIS = "redis://127.0.0.1:1/0"


@pytest.fixture(autouse=True)
def _fresh_process(monkeypatch):
    """Nothing was read or said yet."""
    for name in (*Settings.model_fields, "port"):
        monkeypatch.delenv(name.upper(), raising=False)
    reporting._nowhere.cache_clear()
    broadcaster.use(None)
    before = app_or_default()
    yield
    before.set_current()
    broadcaster.use(None)


def run(broker: str | list[str]) -> Celery:
    """An app of somebody's own, of which three tasks ran as they should and one was queued."""
    app = Celery("shop", broker=broker, backend="cache+memory://")

    @app.task(bind=True, base=ProgressTask, name="work", shared=False)
    def work(self, fails):
        for _ in self.progress.track(range(3)):
            pass
        if fails:
            raise ValueError("mine")
        return "fine"

    results = [work.apply(args=[fails]) for fails in (False, True, False)]
    assert [result.state for result in results] == ["SUCCESS", "FAILURE", "SUCCESS"]
    assert repr(results[1].result) == "ValueError('mine')"
    with app.connection("memory://") as connection:
        work.apply_async(args=[False], connection=connection)
    return app


@pytest.mark.parametrize(
    ("broker", "environment", "named"),
    [
        ("memory://", {}, "REDIS_URL: not set"),
        ("rediss://127.0.0.1:1/0?ssl_cert_reqs=none", {}, "REDIS_URL: not set"),
        (REDIS, {"REDIS_URL": "http://x"}, "REDIS_URL: "),
        (REDIS, {"REDIS_URL": "redis://127.0.0.1:nonsense/0"}, "REDIS_URL: "),
        (REDIS, {"JOBCAST_LEASE_MS": "abc"}, "JOBCAST_LEASE_MS: "),
        ("memory://", {"JOBCAST_LEASE_MS": "abc", "REDIS_URL": REDIS}, "JOBCAST_LEASE_MS: "),
    ],
)
def test_no_task_fails_for_a_set_up_that_cannot_report_and_one_line_names_why(
    monkeypatch, caplog, broker, environment, named
):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    app = run(broker)
    assert isinstance(reporter_of(app), NullReporter)
    (line,) = [record for record in caplog.records if record.name.startswith("jobcast")]
    assert (line.levelname, line.exc_info) == ("WARNING", None)
    assert named in line.getMessage()
    app.close()


@pytest.mark.parametrize(
    ("broker", "environment"),
    [
        ("memory://", {"REDIS_URL": REDIS, "PORT": "tcp://10.0.0.1:5000"}),
        ("memory://", {"REDIS_URL": REDIS, "CELERY_BROKER_URL": "rediss://x:1/0?ssl_cert_reqs=none"}),
        (REDIS, {}),
        ([REDIS, "redis://127.0.0.1:2/0"], {}),
        (f"{REDIS};redis://127.0.0.1:2/0", {}),
    ],
)
def test_what_only_others_read_does_not_keep_a_worker_from_reporting(monkeypatch, broker, environment):
    """The ports of a container platform, the app's own broker, one that fails over."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    app = Celery("shop", broker=broker, set_as_current=False)
    assert type(reporter_of(app)).__name__ == "Reporter"
    app.close()
