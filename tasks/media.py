"""Where posts take their pictures from: one folder, and public http(s) URLs.

What a post names comes from outside. A URL is fetched as ``tasks.remote_media`` has it. A path is opened one
part at a time, from the folder down, and no part may be a link: there is no moment between a check and its
use in which the path could be changed.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO, Final

from tasks.platforms.port import Media, PermanentPlatformError
from tasks.remote_media import RemoteMedia, is_url

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
#: Not waiting matters for a named pipe, which would hang a worker.
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class MediaSource:
    """Paths are relative to ``folder``, with ``/`` between their parts; no URLs without ``remote``."""

    def __init__(self, folder: Path, remote: RemoteMedia | None = None) -> None:
        self._folder = folder
        self._remote = remote

    def media(self, name: str) -> Media:
        """The file of this name; what is wrong with it shows when it is opened."""
        return Media(name, lambda: self.open(name))

    def open(self, name: str) -> BinaryIO:
        """The file's bytes; raise PermanentPlatformError when it is not a file inside the folder.

        A URL raises what ``RemoteMedia.open`` does.
        """
        if self._remote is not None and is_url(name):
            return self._remote.open(name)
        *folders, file = _parts(name)
        try:
            parent = self._descend(folders)
        except OSError as error:
            raise _refusal(name, error) from error
        try:
            return _regular_file(os.open(file, _FILE, dir_fd=parent), name)
        except OSError as error:
            raise _refusal(name, error) from error
        finally:
            os.close(parent)

    def _descend(self, folders: list[str]) -> int:
        current = os.open(self._folder, _FOLDER)
        for folder in folders:
            try:
                inner = os.open(folder, _FOLDER | os.O_NOFOLLOW, dir_fd=current)
            finally:
                os.close(current)
            current = inner
        return current


def _parts(name: str) -> list[str]:
    parts = name.split("/")
    if any(part in ("", ".", "..") for part in parts) or "\\" in name or "\0" in name:
        raise PermanentPlatformError(f"media {name[:200]!r} is not a path inside the media folder")
    return parts


def _regular_file(descriptor: int, name: str) -> BinaryIO:
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise PermanentPlatformError(f"media {name[:200]!r} is not a file")
    return open(descriptor, "rb")


def _refusal(name: str, error: OSError) -> PermanentPlatformError:
    return PermanentPlatformError(f"media {name[:200]!r} cannot be used: {error.strerror}")
