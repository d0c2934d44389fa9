"""The examples are what they say, and can be made again."""

from __future__ import annotations

import csv
import importlib.util
import io
import struct
import time
import zlib
from pathlib import Path

import pytest

from tasks.batches import batches
from tasks.calendar import read_calendar
from tasks.media import MediaSource
from tasks.metrics_export import read_export
from tasks.platforms.registry import LOCAL_NAMES
from tasks.settings import WorkSettings

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def text(name: str) -> str:
    with (EXAMPLES / name).open(encoding="utf-8", newline="") as file:
        return file.read()


@pytest.fixture(scope="module")
def posts():
    return list(read_calendar(text("content_calendar.csv"), LOCAL_NAMES))


def test_the_calendar_has_at_least_sixty_posts_for_several_platforms(posts):
    """Among them texts with line breaks, quotes, and a beginning like a formula's."""
    assert len(posts) >= 60
    assert {platform for post in posts for platform in post.platforms} == {
        "facebook",
        "instagram",
        "linkedin",
    }
    contents = [post.content for post in posts]
    assert any("\n" in content for content in contents)
    assert any('"' in content for content in contents)
    assert any(content.startswith("=") for content in contents)


def test_every_picture_of_the_calendar_is_in_the_default_media_folder(posts):
    """Which is where the worker looks."""
    media = MediaSource(WorkSettings.model_fields["jobcast_media_source"].default)
    names = {name for post in posts for name in post.media}
    assert len(names) >= 10
    for name in names:
        with media.open(name) as file:
            assert file.read(8)


def pixels(data: bytes) -> bytes:
    """The unpacked lines of a PNG file, after its checksums were tried."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    place, packed = 8, b""
    while place < len(data):
        (length,) = struct.unpack_from(">I", data, place)
        kind, body = data[place + 4 : place + 8], data[place + 8 : place + 8 + length]
        assert struct.unpack_from(">I", data, place + 8 + length) == (zlib.crc32(kind + body),)
        packed += body if kind == b"IDAT" else b""
        place += 12 + length
    return zlib.decompress(packed)


def test_the_examples_can_be_made_again(tmp_path):
    """Byte for byte; pictures by their pixels, as zlib may pack them otherwise."""
    spec = importlib.util.spec_from_file_location("make_examples", EXAMPLES / "make_examples.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.make(tmp_path)
    made = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file())
    assert len(made) >= 14
    for path in made:
        new, kept = (tmp_path / path).read_bytes(), (EXAMPLES / path).read_bytes()
        if path.suffix == ".png":
            new, kept = pixels(new), pixels(kept)
        assert new == kept, path


def test_the_export_has_at_least_twenty_thousand_rows_with_keys_of_their_own():
    """So that a sync stores as many rows as it reads."""
    rows = list(read_export(text("metrics_export.csv"), "acme", "instagram"))
    assert len(rows) >= 20_000
    assert len({(row["post_id"], row["day"]) for row in rows}) == len(rows)
    assert all(row["reach"] <= row["views"] for row in rows)


def test_the_export_has_the_columns_of_the_real_one():
    """In its order."""
    header = next(csv.reader(io.StringIO(text("metrics_export.csv"))))
    assert header[0] == "Post ID"
    assert header[9:11] == ["Data comment", "Date"]
    assert len(header) == 18


def test_the_export_is_stored_in_a_few_seconds(place):
    """Batches, not rows, are what a transaction costs."""
    started = time.perf_counter()
    for batch in batches(read_export(text("metrics_export.csv"), "acme", "instagram"), 500):
        place.storage.upsert_metrics(batch)
    assert time.perf_counter() - started < 10
