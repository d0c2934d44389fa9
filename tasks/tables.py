"""The tables: what was asked for, where it stands, what the local platforms keep, and the metrics."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final, Literal

from sqlalchemy import JSON, BigInteger, DateTime, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from sqlalchemy.types import TypeDecorator

from jobcast.topics import LONGEST_ID

#: One platform's share of a post, in the order it walks.
DeliveryStatus = Literal["draft", "pending", "approved", "in_progress", "published", "failed"]
#: ``day`` of a metric that covers a post's whole life.
LIFETIME: Final = "lifetime"


def now() -> datetime:
    """The current moment in UTC."""
    return datetime.now(UTC)


class Moment(TypeDecorator[datetime]):
    """A moment in UTC; SQLite keeps no time zone, so it is put back on reading."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value.astimezone(UTC) if value else None

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """Root of the tables."""


class Post(Base):
    """One post of a job; ``position`` is its place in the request, from 0."""

    __tablename__ = "posts"
    __table_args__ = (UniqueConstraint("job_id", "position"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    job_id: Mapped[str] = mapped_column(String(LONGEST_ID))
    position: Mapped[int]
    brand_id: Mapped[str] = mapped_column(String(LONGEST_ID))
    user_id: Mapped[str] = mapped_column(String(LONGEST_ID))
    content: Mapped[str] = mapped_column(Text)
    media: Mapped[list[str]] = mapped_column(JSON)
    scheduled_for: Mapped[datetime | None] = mapped_column(DateTime)
    created_at: Mapped[datetime] = mapped_column(Moment, default=now)
    deliveries: Mapped[list[Delivery]] = relationship(back_populates="post", order_by="Delivery.id")


class Delivery(Base):
    """One post on one platform."""

    __tablename__ = "deliveries"
    __table_args__ = (UniqueConstraint("post_id", "platform"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    post_id: Mapped[int] = mapped_column(ForeignKey("posts.id", ondelete="CASCADE"))
    platform: Mapped[str] = mapped_column(String(128))
    status: Mapped[DeliveryStatus] = mapped_column(String(16))
    #: How often a worker has begun it.
    attempts: Mapped[int] = mapped_column(default=0)
    error: Mapped[str | None] = mapped_column(Text)
    external_id: Mapped[str | None] = mapped_column(String(256))
    published_at: Mapped[datetime | None] = mapped_column(Moment)
    post: Mapped[Post] = relationship(back_populates="deliveries")


class StoredMedia(Base):
    """A file that a local platform keeps for a published post; ``path`` is relative to its media root."""

    __tablename__ = "media"

    external_id: Mapped[str] = mapped_column(String(256), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    sha256: Mapped[str] = mapped_column(String(64))
    size: Mapped[int] = mapped_column(BigInteger)
    path: Mapped[str] = mapped_column(Text)


class Metric(Base):
    """The metrics of one post on one day, or over its life; None where the export has no such column."""

    __tablename__ = "metrics"
    __table_args__ = (Index("ix_metrics_brand_day", "brand_id", "day"),)

    brand_id: Mapped[str] = mapped_column(String(LONGEST_ID), primary_key=True)
    platform: Mapped[str] = mapped_column(String(128), primary_key=True)
    post_id: Mapped[str] = mapped_column(String(128), primary_key=True)
    #: ``2026-09-01``, or ``lifetime``.
    day: Mapped[str] = mapped_column(String(10), primary_key=True)
    account: Mapped[str] = mapped_column(Text)
    description: Mapped[str] = mapped_column(Text)
    post_type: Mapped[str] = mapped_column(Text)
    permalink: Mapped[str] = mapped_column(Text)
    #: In the time zone of the account, which the export does not name.
    posted_at: Mapped[datetime | None] = mapped_column(DateTime)
    views: Mapped[int | None] = mapped_column(BigInteger)
    impressions: Mapped[int | None] = mapped_column(BigInteger)
    reach: Mapped[int | None] = mapped_column(BigInteger)
    reactions: Mapped[int | None] = mapped_column(BigInteger)
    likes: Mapped[int | None] = mapped_column(BigInteger)
    comments: Mapped[int | None] = mapped_column(BigInteger)
    shares: Mapped[int | None] = mapped_column(BigInteger)
    saves: Mapped[int | None] = mapped_column(BigInteger)
    follows: Mapped[int | None] = mapped_column(BigInteger)
