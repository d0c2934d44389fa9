"""What the work stores and asks: posts and where each delivery stands, kept media, metrics."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Insert, Table, delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, joinedload

from tasks.database import READS, Database
from tasks.patience import patiently
from tasks.posts import NewPost
from tasks.tables import Delivery, DeliveryStatus, Metric, Post, StoredMedia, now

_METRICS: Final[Table] = Metric.metadata.tables["metrics"]
_KEYS: Final = tuple(column.name for column in _METRICS.primary_key)


class Storage:
    """Every method is one short transaction; none is held open while a platform is talked to.

    All but ``metrics_of`` wait for a database that is away, locked or full (tasks.patience).
    """

    def __init__(self, database_url: str) -> None:
        self._database = Database(database_url)

    def add_posts(self, job_id: str, brand_id: str, user_id: str, posts: Iterable[NewPost]) -> None:
        """Store a job's posts as drafts, all or none; does nothing when the job has its posts already."""
        if self.count_posts(job_id):
            return
        try:
            self._add_posts(job_id, brand_id, user_id, list(posts))
        except IntegrityError:
            # A second delivery of the same message was faster; what it stored is the same.
            if not self.count_posts(job_id):
                raise

    @patiently
    def count_posts(self, job_id: str) -> int:
        """How many posts the job has."""
        with self._session(**READS) as session:
            counted = select(func.count()).select_from(Post).where(Post.job_id == job_id)
            return session.execute(counted).scalar_one()

    @patiently
    def deliveries(self, job_id: str) -> Sequence[Delivery]:
        """The job's deliveries with their posts, in the order of the request; detached."""
        wanted = (
            select(Delivery)
            .join(Delivery.post)
            .where(Post.job_id == job_id)
            .order_by(Post.position, Delivery.id)
            .options(joinedload(Delivery.post))
        )
        with self._session(**READS) as session:
            return session.scalars(wanted).all()

    def move(self, job_id: str, before: Iterable[DeliveryStatus], after: DeliveryStatus) -> int:
        """Walk all of a job's deliveries on that stand in one of ``before``; return how many did."""
        of_job = select(Post.id).where(Post.job_id == job_id)
        chosen = Delivery.post_id.in_(of_job) & Delivery.status.in_(list(before))
        return self._change(chosen, status=after)

    def claim(self, delivery_id: int) -> bool:
        """Begin a delivery; False when it has been published meanwhile."""
        open_ = (Delivery.id == delivery_id) & (Delivery.status != "published")
        return bool(self._change(open_, status="in_progress", attempts=Delivery.attempts + 1, error=None))

    def release(self, delivery_id: int) -> None:
        """Put a delivery back that was begun and not made."""
        self._change(Delivery.id == delivery_id, status="approved")

    def set_published(self, delivery_id: int, external_id: str) -> None:
        """The platform took it, under this id."""
        self._change(
            Delivery.id == delivery_id,
            status="published",
            external_id=external_id,
            published_at=now(),
            error=None,
        )

    def set_failed(self, delivery_id: int, error: str) -> None:
        """The platform did not take it, and will not."""
        self._change(Delivery.id == delivery_id, status="failed", error=error)

    @patiently
    def keep_media(self, external_id: str, files: Sequence[StoredMedia]) -> None:
        """Set the files of one published post; doing it again changes nothing."""
        with self._session() as session, session.begin():
            session.execute(delete(StoredMedia).where(StoredMedia.external_id == external_id))
            session.add_all(files)

    @patiently
    def media_of(self, external_id: str) -> Sequence[StoredMedia]:
        """The files of one published post, in its order."""
        wanted = select(StoredMedia).where(StoredMedia.external_id == external_id)
        with self._session(**READS) as session:
            return session.scalars(wanted.order_by(StoredMedia.position)).all()

    def upsert_metrics(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Insert rows of the metrics table or overwrite those with the same key; the last one counts.

        All rows have the same columns. Columns they do not have keep what was stored.
        """
        # PostgreSQL refuses to touch one row twice in a statement.
        newest = {tuple(row[key] for key in _KEYS): dict(row) for row in rows}
        if not newest:
            return
        self._upsert_metrics(list(newest.values()))

    def metrics_of(self, brand_id: str) -> Iterator[Mapping[str, Any]]:
        """The brand's metrics by platform, post and day; fetched in batches, however many there are."""
        wanted = select(_METRICS).where(_METRICS.c.brand_id == brand_id).order_by(*_METRICS.primary_key)
        with self._database.engine.connect().execution_options(**READS) as connection:
            rows = connection.execution_options(yield_per=500).execute(wanted)
            yield from (dict(row) for row in rows.mappings())

    def close(self) -> None:
        """Let go of the database; the next call opens it again."""
        self._database.forget()

    def _session(self, **options: bool) -> Session:
        return Session(self._database.engine.execution_options(**options), expire_on_commit=False)

    @patiently
    def _add_posts(self, job_id: str, brand_id: str, user_id: str, posts: Sequence[NewPost]) -> None:
        with self._session() as session, session.begin():
            session.add_all(
                _drafted(job_id, brand_id, user_id, position, post) for position, post in enumerate(posts)
            )

    @patiently
    def _upsert_metrics(self, batch: Sequence[dict[str, Any]]) -> None:
        with self._database.engine.begin() as connection:
            connection.execute(_upsert(connection.dialect.name, batch[0]), batch)

    @patiently
    def _change(self, which: ColumnElement[bool], **values: Any) -> int:
        with self._database.engine.begin() as connection:
            return connection.execute(update(Delivery).where(which).values(**values)).rowcount


def _upsert(dialect: str, columns: Iterable[str]) -> Insert:
    """Both dialects say ON CONFLICT, and SQLAlchemy has a class for each."""
    insert = postgresql.insert(_METRICS) if dialect == "postgresql" else sqlite.insert(_METRICS)
    changed = {name: insert.excluded[name] for name in columns if name not in _KEYS}
    return insert.on_conflict_do_update(index_elements=_KEYS, set_=changed)


def _drafted(job_id: str, brand_id: str, user_id: str, position: int, post: NewPost) -> Post:
    return Post(
        job_id=job_id,
        position=position,
        brand_id=brand_id,
        user_id=user_id,
        content=post.content,
        media=list(post.media),
        scheduled_for=post.scheduled_for,
        deliveries=[Delivery(platform=platform, status="draft") for platform in post.platforms],
    )
