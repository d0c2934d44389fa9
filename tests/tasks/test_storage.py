"""The tables, in a real SQLite file, written by several processes."""

from __future__ import annotations

import multiprocessing
import os
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import insert, select
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Session

from jobcast import InvalidSetting
from tasks.database import Database, parse_url
from tasks.posts import NewPost
from tasks.storage import Storage, _upsert
from tasks.tables import Metric, Post

POSTS = [
    NewPost("=one", ("a.png",), ("instagram", "local"), datetime(2026, 12, 1, 9)),
    NewPost("two", (), ("local",)),
]
METRIC = {"brand_id": "acme", "platform": "instagram", "post_id": "1", "day": "2026-09-01", "account": "a",
          "description": "", "post_type": "", "permalink": "", "posted_at": None}  # fmt: skip


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/new/folder/jobcast.db"


@pytest.fixture
def storage(url):
    made = Storage(url)
    yield made
    made.close()


def metrics(url: str) -> list[Metric]:
    database = Database(url)
    with Session(database.engine) as session:
        found = list(session.scalars(select(Metric).order_by(Metric.post_id, Metric.day)))
    database.forget()
    return found


def test_the_folder_and_the_schema_are_made_and_the_log_is_on(storage, tmp_path):
    """The first question makes them."""
    assert storage.count_posts("job-1") == 0
    with sqlite3.connect(tmp_path / "new/folder/jobcast.db") as raw:
        (mode,) = raw.execute("PRAGMA journal_mode").fetchone()
        tables = {name for (name,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    raw.close()
    assert mode == "wal"
    assert {"posts", "deliveries", "media", "metrics"} <= tables


def test_posts_are_stored_once_in_order_with_a_delivery_per_platform(storage):
    """A second delivery of the same message adds nothing."""
    storage.add_posts("job-1", "acme", "ana", POSTS)
    storage.add_posts("job-1", "acme", "ana", POSTS)
    deliveries = storage.deliveries("job-1")
    assert [(d.post.position, d.platform, d.status) for d in deliveries] == [
        (0, "instagram", "draft"),
        (0, "local", "draft"),
        (1, "local", "draft"),
    ]
    assert (deliveries[0].post.content, deliveries[0].post.media) == ("=one", ["a.png"])
    assert deliveries[0].post.scheduled_for == datetime(2026, 12, 1, 9)
    assert storage.deliveries("job-2") == []


def test_posts_are_stored_all_or_none(storage):
    """A calendar that breaks off in the middle leaves nothing."""

    def broken():
        yield POSTS[0]
        raise ValueError("row 3")

    with pytest.raises(ValueError, match="row 3"):
        storage.add_posts("job-1", "acme", "ana", broken())
    assert storage.count_posts("job-1") == 0


def test_a_delivery_walks_to_published_and_is_not_begun_again(storage):
    """draft → pending → approved → in_progress → published."""
    storage.add_posts("job-1", "acme", "ana", POSTS[1:])
    assert storage.move("job-1", ["draft"], "pending") == 1
    assert storage.move("job-1", ["draft"], "pending") == 0
    assert storage.move("job-1", ["draft", "pending"], "approved") == 1
    (delivery,) = storage.deliveries("job-1")
    assert storage.claim(delivery.id)
    storage.set_published(delivery.id, "local-1")
    assert not storage.claim(delivery.id)
    (done,) = storage.deliveries("job-1")
    assert (done.status, done.external_id, done.attempts, done.error) == ("published", "local-1", 1, None)
    assert done.published_at.tzinfo is UTC
    assert abs((datetime.now(UTC) - done.published_at).total_seconds()) < 60


def test_a_failed_delivery_keeps_its_reason_until_it_is_tried_again(storage):
    """failed → in_progress, by another attempt."""
    storage.add_posts("job-1", "acme", "ana", POSTS[1:])
    (delivery,) = storage.deliveries("job-1")
    storage.claim(delivery.id)
    storage.set_failed(delivery.id, "no")
    assert [(d.status, d.error) for d in storage.deliveries("job-1")] == [("failed", "no")]
    assert storage.claim(delivery.id)
    assert [(d.status, d.error, d.attempts) for d in storage.deliveries("job-1")] == [
        ("in_progress", None, 2)
    ]


def test_metrics_are_overwritten_by_their_key_and_others_left_alone(storage, url):
    """Twice the same batch is once; within a batch the last row counts."""
    rows = [METRIC | {"views": 1}, METRIC | {"post_id": "2", "views": 5}, METRIC | {"views": 2}]
    storage.upsert_metrics(rows)
    storage.upsert_metrics(rows)
    storage.upsert_metrics([METRIC | {"views": 3}])
    assert [(m.post_id, m.views) for m in metrics(url)] == [("1", 3), ("2", 5)]


def test_a_metric_that_an_export_does_not_have_keeps_its_value(storage, url):
    """Two exports with different columns add up."""
    storage.upsert_metrics([METRIC | {"views": 1}])
    storage.upsert_metrics([METRIC | {"likes": 9}])
    assert [(m.views, m.likes) for m in metrics(url)] == [(1, 9)]


def test_nothing_to_upsert_is_nothing(storage, url):
    """An empty batch is no statement."""
    storage.upsert_metrics([])
    assert metrics(url) == []


def test_postgresql_gets_an_upsert_too():
    """The same statement in its dialect; no server is needed to write it."""
    statement = str(_upsert("postgresql", [*METRIC, "views"]).compile(dialect=postgresql.dialect()))
    assert "ON CONFLICT (brand_id, platform, post_id, day) DO UPDATE SET" in statement
    assert "views = excluded.views" in statement
    assert "likes = excluded" not in statement


def _write(url: str, number: int, barrier, results) -> None:
    storage = Storage(url)
    barrier.wait(30)
    storage.add_posts(f"job-{number}", "acme", "ana", POSTS)
    for delivery in storage.deliveries(f"job-{number}"):
        storage.claim(delivery.id)
        storage.set_published(delivery.id, "x")
    storage.add_posts("shared", "acme", "ana", POSTS)
    for batch in range(10):
        storage.upsert_metrics([METRIC | {"post_id": str(i), "views": batch} for i in range(100)])
    results.put(number)


@pytest.mark.parametrize("_", range(3))
def test_children_that_start_at_once_make_one_schema_and_lose_no_write(url, _):
    """As a prefork worker's first jobs do on an empty disk."""
    context = multiprocessing.get_context("fork")
    barrier, results = context.Barrier(6), context.SimpleQueue()
    children = [context.Process(target=_write, args=(url, n, barrier, results)) for n in range(6)]
    for child in children:
        child.start()
    for child in children:
        child.join(60)
    assert [child.exitcode for child in children] == [0] * 6
    storage = Storage(url)
    assert [d.status for n in range(6) for d in storage.deliveries(f"job-{n}")] == ["published"] * 18
    assert storage.count_posts("shared") == 2
    storage.close()
    assert [m.views for m in metrics(url)] == [9] * 100


def test_an_engine_does_not_cross_a_fork(url):
    """The child opens its own, and the parent's goes on working."""
    database = Database(url)
    engine = database.engine
    assert database.engine is engine
    child = os.fork()
    if child == 0:
        other = database.engine
        with other.begin() as connection:
            connection.execute(
                insert(Post).values(job_id="child", position=0, brand_id="", user_id="", content="", media=[])
            )
        os._exit(0 if other is not engine else 1)
    assert os.waitpid(child, 0)[1] == 0
    with Session(database.engine) as session:
        assert session.scalars(select(Post.job_id)).all() == ["child"]
    database.forget()


@pytest.mark.parametrize(
    ("given", "driver"),
    [
        ("postgres://u:p@h/db?sslmode=require", "postgresql+psycopg"),
        ("postgresql://u:p@h/db", "postgresql+psycopg"),
        ("postgresql+psycopg2://u:p@h/db", "postgresql+psycopg"),
        ("sqlite:///var/x.db", "sqlite"),
    ],
)
def test_urls_get_the_driver_that_is_installed(given, driver):
    """As hosting platforms hand them out."""
    url = parse_url(given)
    assert url.drivername == driver
    assert url.render_as_string(hide_password=False).partition("://")[2] == given.partition("://")[2]


@pytest.mark.parametrize("given", ["nonsense", "mysql://u:geheim@h/db", "postgresql://u:geheim@h:port/db"])
def test_a_url_that_cannot_be_used_names_the_variable_and_no_password(given):
    """One line."""
    with pytest.raises(InvalidSetting, match=r"^DATABASE_URL: ") as caught:
        parse_url(given)
    assert "geheim" not in str(caught.value)
