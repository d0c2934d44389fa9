"""The media folder cannot be left."""

from __future__ import annotations

import os

import pytest

from tasks.media import MediaSource
from tasks.platforms import PermanentPlatformError


@pytest.fixture
def media(source):
    return MediaSource(source)


def test_a_file_is_opened_at_any_depth(media):
    """Paths are relative to the folder."""
    with media.open("a.png") as one, media.open("inner/b.jpg") as two:
        assert (one.read(), two.read()) == (b"picture a", b"picture b")


@pytest.mark.parametrize(
    "name",
    [
        "../secret", "inner/../../secret", "inner/../a.png", "/etc/passwd", "//etc/passwd", "", ".", "..",
        "./a.png", "inner", "inner/", "missing.png", "a.png/x", "..\\secret", "a.png\0.jpg", "http://x/y.png",
        "x" * 5_000,
    ],
)  # fmt: skip
def test_a_path_that_is_not_a_file_inside_is_refused(media, source, name):
    """Whether it would be harmless or not."""
    (source.parent / "secret").write_bytes(b"secret")
    with pytest.raises(PermanentPlatformError) as caught:
        media.open(name)
    assert len(str(caught.value)) < 400


def test_links_are_refused_wherever_they_point(media, source):
    """As the file, as a folder on the way, and even when they stay inside."""
    (source.parent / "secret").write_bytes(b"secret")
    (source / "file").symlink_to(source.parent / "secret")
    (source / "up").symlink_to(source.parent)
    (source / "same").symlink_to(source / "a.png")
    for name in ("file", "up/secret", "same"):
        with pytest.raises(PermanentPlatformError):
            media.open(name)


def test_a_named_pipe_does_not_hang_the_worker(media, source):
    """It is no file, and opening it does not wait for a writer."""
    os.mkfifo(source / "pipe")
    with pytest.raises(PermanentPlatformError, match="not a file"):
        media.open("pipe")


def test_nothing_stays_open(media, source):
    """A job with a thousand bad paths does not run out of descriptors."""
    before = len(os.listdir("/dev/fd"))
    for name in ("missing", "inner/missing", "inner", "missing/x", "../x"):
        with pytest.raises(PermanentPlatformError):
            media.open(name)
    media.open("inner/b.jpg").close()
    assert len(os.listdir("/dev/fd")) == before
