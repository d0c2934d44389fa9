"""A platform on this machine: it keeps what is published, and pretends to be as slow as a network.

It stands in for the services until an adapter that talks to one of their APIs is added. Files are
kept under the hash of their content, so that a picture used by a hundred posts is there once; rows in
``media`` say which post has which.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, BinaryIO, Final

from tasks.platforms.port import Media, OutgoingPost, TemporaryPlatformError
from tasks.storage import Storage
from tasks.tables import StoredMedia

#: Bytes copied at a time.
_BLOCK: Final = 1 << 18
_SUFFIX: Final = re.compile(r"\.[a-z0-9]{1,8}\Z")


class LocalPlatform:
    """``latency`` is the simulated network's, in seconds per post (``JOBCAST_LOCAL_DELAY_MS``)."""

    def __init__(self, name: str, storage: Storage, media_root: Path, *, latency: float = 0.0) -> None:
        self.name = name
        self._storage = storage
        self._root = media_root
        self._latency = latency

    def publish(self, post: OutgoingPost, media: Sequence[Media]) -> str:
        """Keep the post's media; the id depends on the key alone, so a second time is the same post."""
        time.sleep(self._latency)
        external_id = f"{self.name}-{hashlib.sha256(post.key.encode()).hexdigest()[:24]}"
        files = [self._kept(external_id, position, item) for position, item in enumerate(media)]
        self._storage.keep_media(external_id, files)
        return external_id

    def _kept(self, external_id: str, position: int, media: Media) -> StoredMedia:
        with media.open() as source:
            sha256, size, path = self._copy(source, media.name)
        return StoredMedia(
            external_id=external_id, position=position, name=media.name, sha256=sha256, size=size, path=path
        )

    def _copy(self, source: BinaryIO, name: str) -> tuple[str, int, str]:
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            return self._copy_by_content(source, name)
        except OSError as error:  # a full disk, a folder that cannot be written: somebody will see to it
            raise TemporaryPlatformError(f"cannot keep {name}: {error.strerror}") from error

    def _copy_by_content(self, source: BinaryIO, name: str) -> tuple[str, int, str]:
        """Hash while copying; only a complete file gets its name, and by one atomic rename."""
        with tempfile.NamedTemporaryFile(dir=self._root, prefix=".incoming-", delete=False) as target:
            try:
                sha256, size = _pour(source, target.file)
                path = Path(sha256[:2]) / (sha256[2:] + _suffix(name))
                (self._root / path).parent.mkdir(exist_ok=True)
                os.replace(target.name, self._root / path)
            except BaseException:
                os.unlink(target.name)
                raise
        return sha256, size, path.as_posix()


def _pour(source: BinaryIO, target: IO[bytes]) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    while block := source.read(_BLOCK):
        digest.update(block)
        size += target.write(block)
    target.flush()
    return digest.hexdigest(), size


def _suffix(name: str) -> str:
    match = _SUFFIX.search(name.lower())
    return match.group() if match else ""
