"""``jobcast serve``: the browser half alone, for workers and applications of any framework."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import click

from jobcast.cli.environment import described
from jobcast.cli.server import serve_here
from jobcast.server.run import processes
from jobcast.server.settings import ServerSettings

#: Not Flask's 5000, which the application itself may be on.
PORT: Final = 8765
#: Started as a file, which imports nothing of ours before it has patched; ``-P``: nor anything from here.
PATCHED: Final = (sys.executable, "-P", str(Path(__file__).with_name("patched.py")))


@click.command(epilog=described(ServerSettings))
@click.option("--host", help="Address to listen on (HOST); without a key only this machine's.")
@click.option("--port", type=click.IntRange(0, 65_535), help=f"Port to listen on (PORT; {PORT}).")
@click.option("--redis", "redis_url", metavar="URL", help="The Redis that workers report to (REDIS_URL).")
def serve(host: str | None, port: int | None, redis_url: str | None) -> None:
    """Serve pushes, polling routes and the dashboard from a Redis, until SIGTERM.

    With eventlet installed one process serves many thousand clients, without it some hundred
    (SOCKETIO_ASYNC_MODE=threading).
    """
    given = {"HOST": host, "PORT": port, "REDIS_URL": redis_url}
    os.environ.update({name: str(value) for name, value in given.items() if value is not None})
    if not os.environ.get("PORT"):
        os.environ["PORT"] = str(PORT)
    if not os.environ.get("SOCKETIO_ASYNC_MODE"):
        os.environ["SOCKETIO_ASYNC_MODE"] = "eventlet" if find_spec("eventlet") else "threading"
    if os.environ["SOCKETIO_ASYNC_MODE"] != "eventlet":
        sys.exit(serve_here())
    if find_spec("eventlet") is None:
        raise click.ClickException('SOCKETIO_ASYNC_MODE: eventlet needs pip install "jobcast[eventlet]"')
    if count := processes.wanted():
        sys.exit(processes.main("jobcast serve", count, list(PATCHED)))
    os.execv(sys.executable, PATCHED)  # noqa: S606  # ourselves
