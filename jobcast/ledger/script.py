"""Runs the ledger's script on a connection that is kept for it.

A report that comes every second or so finds cold caches wherever it goes, and the way through redis-py's
client, its pool, its retries and its metrics takes longer than Redis takes for the write. Here one connection
of the pool is kept at hand, and a command goes out and back over it. Whatever is unusual is left to redis-py:
a second writer at the same time, a connection that was lost or leads to a server that takes no writes any
more, a script that Redis has forgotten.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from typing import Any, Final

import hiredis
import redis
from redis.exceptions import ConnectionError, NoScriptError

from jobcast.ledger.connection import WRONG_SERVER

_EVALSHA: Final = b"EVALSHA"


class Script:
    """``script`` for one Redis server, callable as redis-py's own."""

    def __init__(self, client: redis.Redis, script: bytes) -> None:
        self._client = client
        self._script = client.register_script(script)
        self._busy = threading.Lock()
        self._connection: Any = None
        self._owner = 0

    def __call__(self, keys: Sequence[str], args: Sequence[str | int]) -> Any:
        """What the script returns; raises what redis-py raises."""
        if self._busy.acquire(blocking=False):
            try:
                return self._run(keys, args)
            except (ConnectionError, NoScriptError):
                pass  # once more, the long way
            except WRONG_SERVER:
                self._connection.disconnect()  # whoever took over is found by connecting anew
            finally:
                self._busy.release()
        return self._script(keys=list(keys), args=list(args))

    def _run(self, keys: Sequence[str], args: Sequence[str | int]) -> Any:
        connection = self._own_connection()
        command: Any = (_EVALSHA, self._script.sha, len(keys), *keys, *args)
        connection.send_packed_command([hiredis.pack_command(command)], check_health=False)
        return connection.read_response()

    def _own_connection(self) -> Any:
        """Kept for this process; a child that was forked makes one of its own."""
        if self._owner != os.getpid():
            self._connection = self._client.connection_pool.make_connection()
            self._owner = os.getpid()
        return self._connection
