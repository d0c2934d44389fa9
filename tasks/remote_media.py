"""Pictures and videos of posts that are given as URLs, fetched from public addresses only.

Whoever writes a post chooses the URL, and the worker stands inside the network. So the host is looked up
once, every address it has is checked, and the connection is made to a checked address: there is no second
look-up that could answer otherwise. Each redirect is checked like the first URL. The file goes to a nameless
temporary file on disk; it gets a name when a platform keeps it, complete, by one atomic rename.
"""

from __future__ import annotations

import ssl
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import BinaryIO, Final
from urllib.parse import urljoin

from urllib3 import HTTPResponse
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, LocationParseError
from urllib3.util import Url, parse_url

from tasks.deadline import Deadline, TooSlow
from tasks.platforms.port import PermanentPlatformError, TemporaryPlatformError
from tasks.public_addresses import IsAllowed, is_public, resolve

#: How often a server may send us elsewhere.
REDIRECTS: Final = 3
#: Bytes read at a time.
_BLOCK: Final = 1 << 16
_PORTS: Final = {"http": 80, "https": 443}
_MOVED: Final = frozenset({301, 302, 303, 307, 308})
#: What may pass with time; 429 and everything from 500 on.
_TOO_MANY_REQUESTS: Final = 429
_HEADERS: Final = {"User-Agent": "jobcast", "Accept": "image/*, video/*", "Accept-Encoding": "identity"}
#: A picture that can carry scripts.
_ACTIVE: Final = "image/svg+xml"


def is_url(name: str) -> bool:
    """Whether a post's media name is a URL rather than a path."""
    return name.lower().startswith(("http://", "https://"))


class RemoteMedia:
    """``most`` is in bytes; ``timeout``, in seconds, is for everything from the first connection on.

    ``folder`` is where the temporary files are. ``is_allowed`` and ``ports`` are parameters for tests, which
    have no server on a public address.
    """

    def __init__(
        self,
        folder: Path,
        *,
        most: int,
        timeout: float,
        is_allowed: IsAllowed = is_public,
        ports: frozenset[int] = frozenset(_PORTS.values()),
    ) -> None:
        self._folder = folder
        self._most = most
        self._timeout = timeout
        self._is_allowed = is_allowed
        self._ports = ports

    def open(self, url: str) -> BinaryIO:
        """The file's bytes, all of them fetched.

        Raises PermanentPlatformError for what will never be fetched and TemporaryPlatformError for what a
        network or a disk can do.
        """
        with Deadline(self._timeout) as leash:
            try:
                return self._follow(url, leash)
            except (TooSlow, HTTPError, HTTPException, OSError) as error:
                late = f"not there within {self._timeout:g} s (JOBCAST_MEDIA_TIMEOUT_MS)"
                why = late if leash.is_over else str(error)[:200] or type(error).__name__
                raise TemporaryPlatformError(f"{_shown(url)}: {why}") from error

    def _follow(self, url: str, leash: Deadline) -> BinaryIO:
        for _ in range(REDIRECTS + 1):
            with self._asked(self._checked(url), leash) as answer:
                if answer.status not in _MOVED:
                    return self._received(url, answer, leash)
                url = urljoin(url, answer.headers.get("Location", ""))
        raise PermanentPlatformError(f"{_shown(url)}: more than {REDIRECTS} redirects")

    def _checked(self, url: str) -> Url:
        """The URL's parts, by the parser of the library that connects; its host is looked at later."""
        try:
            parts = parse_url(url)
        except LocationParseError as error:
            raise PermanentPlatformError(f"{_shown(url)} is not a URL") from error
        if parts.scheme not in _PORTS or not parts.host:
            raise PermanentPlatformError(f"{_shown(url)} is not an http or https URL")
        if parts.auth is not None:
            raise PermanentPlatformError("a media URL carries no user name or password")
        if _port(parts) not in self._ports:
            raise PermanentPlatformError(f"{_shown(url)}: only ports 80 and 443 are fetched from")
        return parts

    @contextmanager
    def _asked(self, parts: Url, leash: Deadline) -> Iterator[HTTPResponse]:
        """The answer, as long as its connection is open."""
        with closing(self._connected(parts, leash)) as connection:
            leash.hold(connection.sock)
            headers = _HEADERS | {"Host": parts.netloc or ""}
            connection.request(
                "GET", parts.request_uri, headers=headers, preload_content=False, decode_content=False
            )
            with closing(connection.getresponse()) as answer:
                leash.check()  # headers that were cut off look like few headers
                yield answer

    def _connected(self, parts: Url, leash: Deadline) -> HTTPConnection:
        """A connection to the first of the host's addresses that takes one."""
        host = (parts.host or "").strip("[]")
        addresses = resolve(host, _port(parts), self._is_allowed)
        for address in addresses[:-1]:
            try:
                return self._connect(parts, host, address, leash)
            except (HTTPError, OSError):
                continue
        return self._connect(parts, host, addresses[-1], leash)

    def _connect(self, parts: Url, host: str, address: str, leash: Deadline) -> HTTPConnection:
        """Connect to an address, while certificate and SNI are the host's."""
        timeout, port = leash.left(), _port(parts)
        if parts.scheme == "http":
            connection = HTTPConnection(address, port, timeout=timeout)
        else:
            connection = HTTPSConnection(
                address, port, timeout=timeout, server_hostname=host, ssl_context=ssl.create_default_context()
            )
        try:
            connection.connect()
        except BaseException:
            connection.close()
            raise
        return connection

    def _received(self, url: str, answer: HTTPResponse, leash: Deadline) -> BinaryIO:
        self._check(url, answer)
        self._folder.mkdir(parents=True, exist_ok=True)
        target = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115  # the caller's to close
        try:
            self._pour(url, answer, target, leash)
        except BaseException:
            target.close()
            raise
        target.seek(0)
        return target

    def _check(self, url: str, answer: HTTPResponse) -> None:
        if answer.status == _TOO_MANY_REQUESTS or answer.status >= 500:
            raise TemporaryPlatformError(f"{_shown(url)}: answered {answer.status}")
        if answer.status != 200:
            raise PermanentPlatformError(f"{_shown(url)}: answered {answer.status}")
        kind = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if not kind.startswith(("image/", "video/")) or kind == _ACTIVE:
            raise PermanentPlatformError(f"{_shown(url)}: {kind[:60]!r} is no picture or video")
        if answer.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise PermanentPlatformError(f"{_shown(url)}: came compressed, which was not asked for")
        if (answer.length_remaining or 0) > self._most:
            raise self._too_large(url)

    def _pour(self, url: str, answer: HTTPResponse, target: BinaryIO, leash: Deadline) -> None:
        size = 0
        while block := answer.read1(_BLOCK):
            size += target.write(block)
            if size > self._most:
                raise self._too_large(url)
            leash.check()
        leash.check()  # cut off by the leash looks like an end
        target.flush()

    def _too_large(self, url: str) -> PermanentPlatformError:
        return PermanentPlatformError(
            f"{_shown(url)}: larger than {self._most:,} bytes (JOBCAST_MEDIA_MAX_BYTES)"
        )


def _port(parts: Url) -> int:
    return _PORTS[parts.scheme or "http"] if parts.port is None else parts.port


def _shown(url: str) -> str:
    """The URL without its query, which may hold somebody's signature."""
    return repr(url.partition("?")[0][:200])
