"""The local platform really keeps what it is given."""

from __future__ import annotations

import errno
import hashlib
import io
import re

import pytest

from tasks.media import MediaSource
from tasks.platforms import LocalPlatform, Media, OutgoingPost, PermanentPlatformError, TemporaryPlatformError
from tasks.platforms.registry import LOCAL_NAMES

POST = OutgoingPost("job-1/0/local", "Hello")


@pytest.fixture
def media(source):
    return MediaSource(source)


@pytest.fixture
def platform(place, settings):
    return LocalPlatform("local", place.storage, settings.jobcast_media_root)


def files_in(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_media_are_kept_under_the_hash_of_their_content(platform, place, settings, media):
    """The same picture under two names is one file and two rows."""
    names = ["a.png", "inner/copy-of-a.PNG", "inner/b.jpg"]
    external_id = platform.publish(POST, [media.media(name) for name in names])
    kept = place.storage.media_of(external_id)
    assert [row.name for row in kept] == names
    assert [row.size for row in kept] == [9, 9, 9]
    assert kept[0].path == kept[1].path
    assert kept[0].sha256 == hashlib.sha256(b"picture a").hexdigest()
    assert (settings.jobcast_media_root / kept[2].path).read_bytes() == b"picture b"
    assert files_in(settings.jobcast_media_root) == sorted({row.path for row in kept})


def test_publishing_twice_under_one_key_is_the_same_post(platform, place, media):
    """A retried delivery leaves no second post behind."""
    first = platform.publish(POST, [media.media("a.png")])
    assert platform.publish(POST, [media.media("a.png")]) == first
    assert len(place.storage.media_of(first)) == 1
    assert platform.publish(OutgoingPost("job-1/1/local", "Hello"), []) != first


def test_a_refused_file_leaves_nothing_behind(platform, settings, media):
    """Neither a post nor half a file."""
    with pytest.raises(PermanentPlatformError):
        platform.publish(POST, [media.media("../x")])
    assert not settings.jobcast_media_root.exists() or files_in(settings.jobcast_media_root) == []


def test_a_file_that_cannot_be_read_to_its_end_leaves_nothing_behind(platform, settings):
    """No half file, and the delivery may be tried again."""

    class Torn(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError(errno.EIO, "Input/output error")

    with pytest.raises(TemporaryPlatformError, match="Input/output error"):
        platform.publish(POST, [Media("a.png", Torn)])
    assert files_in(settings.jobcast_media_root) == []


def test_a_media_root_that_cannot_be_written_is_a_temporary_fault(platform, settings, media):
    """Somebody will make room; the post itself is fine."""
    settings.jobcast_media_root.write_text("not a folder")
    with pytest.raises(TemporaryPlatformError, match=r"cannot keep a\.png"):
        platform.publish(POST, [media.media("a.png")])


def test_a_strange_suffix_does_not_shape_the_stored_path(platform, place, source, media):
    """The path is made of the hash and of a plain suffix, or none."""
    (source / "x.we ird").write_bytes(b"x")
    external_id = platform.publish(POST, [media.media("x.we ird")])
    (kept,) = place.storage.media_of(external_id)
    assert re.fullmatch(r"[0-9a-f]{2}/[0-9a-f]{62}", kept.path)


def test_the_registry_lists_the_platforms_by_name(place):
    """``local`` and three stand-ins."""
    assert {name: platform.name for name, platform in place.platforms.items()} == {n: n for n in LOCAL_NAMES}
    assert LOCAL_NAMES == ("local", "facebook", "instagram", "linkedin")
