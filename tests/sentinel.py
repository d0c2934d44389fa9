"""A real Sentinel on loopback, with a primary and a replica to take over."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Final

import redis

from jobcast.embedded import EmbeddedValkey, command, free_port
from tests.stack import wait_for

SERVICE: Final = "jobs"


class Watched:
    """Two servers under one name; a context manager."""

    def __init__(self, folder: Path) -> None:
        options = ("--shutdown-timeout", "0", "--repl-diskless-sync-delay", "0")
        self.primary = EmbeddedValkey(log=folder / "primary.log", options=options)
        self.replica = EmbeddedValkey(
            log=folder / "replica.log", options=(*options, "--replicaof", f"127.0.0.1 {self.primary.port}")
        )
        self.port = free_port()
        self._settings = folder / "sentinel.conf"
        self._log = folder / "sentinel.log"
        self._sentinel: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis+sentinel://127.0.0.1:{self.port}/{SERVICE}/0"

    def __enter__(self) -> Watched:
        self.primary.start()
        self.replica.start()
        self._settings.write_text(
            f"bind 127.0.0.1\nport {self.port}\n"
            f"sentinel monitor {SERVICE} 127.0.0.1 {self.primary.port} 1\n"
            f"sentinel down-after-milliseconds {SERVICE} 400\nsentinel failover-timeout {SERVICE} 1000\n"
        )
        with self._log.open("ab") as log:
            binary = command(self.port)[0]
            self._sentinel = subprocess.Popen(
                [binary, str(self._settings), "--sentinel"], stdout=log, stderr=log
            )
        wait_for(self._is_complete, 10, "a sentinel that knows the replica")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._sentinel is not None:
            self._sentinel.kill()
            self._sentinel.wait()
        self.primary.stop()
        self.replica.stop()

    def kill_primary(self) -> None:
        """As a machine that goes; returns when the replica has taken over."""
        os.kill(self.primary.pid, signal.SIGKILL)
        wait_for(lambda: self._ask("master")["port"] == self.replica.port, 20, "a failover")

    def _is_complete(self) -> bool:
        try:
            return self._ask("master")["num-slaves"] == 1 and "slave" in str(self._replica_flags())
        except redis.RedisError:
            return False

    def _ask(self, what: str) -> dict[str, object]:
        with redis.Redis(port=self.port, decode_responses=True) as client:
            found: dict[str, object] = client.sentinel_master(SERVICE)
            return found

    def _replica_flags(self) -> object:
        with redis.Redis(port=self.replica.port, decode_responses=True) as client:
            info = client.info("replication")
            return info["role"] if info.get("master_link_status") == "up" else None
