"""``jobcast watch ID``: a job's states as they come, in a terminal."""

from __future__ import annotations

import queue
import sys
import time
from collections.abc import Mapping
from typing import Any, Final

import click
import socketio
from socketio.exceptions import ConnectionError

from jobcast.errors import InvalidPayload
from jobcast.models import SUCCESS_STATUSES, TERMINAL_STATUSES
from jobcast.topics import valid_id

#: Exit codes by outcome; 1 is also for a server that cannot be reached or refuses.
FAILED: Final = 1
CANCELLED: Final = 3
TIMED_OUT: Final = 4
NAMESPACE: Final = "/jobs"
#: Seconds the server may take for an answer.
ANSWER_TIMEOUT: Final = 10

Update = Mapping[str, Any]


@click.command()
@click.argument("job_id", metavar="ID")
@click.option("--url", default="http://127.0.0.1:8765", show_default=True, help="The server.")
@click.option("--path", default="socket.io", show_default=True, help="Its Socket.IO path.")
@click.option("--token", envvar="JOBCAST_TOKEN", help="Who is watching (JOBCAST_TOKEN).")
@click.option("--timeout", type=float, help="Seconds after which to give up; default: never.")
def watch(job_id: str, url: str, path: str, token: str | None, timeout: float | None) -> None:
    """Print each state of a job until it ends.

    Exits with 0 when the job succeeded, 1 when it failed or cannot be watched, 3 when it was cancelled, and 4
    when the timeout came first.
    """
    try:
        updates = _follow(valid_id(job_id), url, path, token)
    except (InvalidPayload, ConnectionError) as error:
        raise click.ClickException(str(error)) from error
    sys.exit(_print_until_end(updates, timeout))


def _follow(job_id: str, url: str, path: str, token: str | None) -> queue.Queue[Update]:
    """Subscribe now and after every reconnect; the queue gets each update."""
    updates: queue.Queue[Update] = queue.Queue()
    client = socketio.Client()

    def subscribe() -> None:
        client.emit("subscribe-job", job_id, namespace=NAMESPACE, callback=_refusal)

    def _refusal(answer: Any = None) -> None:
        if isinstance(answer, dict) and answer.get("ok") is False:
            updates.put({"refused": answer["error"]["message"]})

    client.on("connect", subscribe, namespace=NAMESPACE)
    client.on("job:status-changed", updates.put, namespace=NAMESPACE)
    auth = {"token": token} if token else None
    client.connect(url, auth=auth, namespaces=[NAMESPACE], socketio_path=path, wait_timeout=ANSWER_TIMEOUT)
    return updates


def _print_until_end(updates: queue.Queue[Update], timeout: float | None) -> int:
    deadline = None if timeout is None else time.monotonic() + timeout
    while True:
        try:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            update = updates.get(timeout=left)
        except queue.Empty:
            click.echo("timed out", err=True)
            return TIMED_OUT
        if "refused" in update:
            raise click.ClickException(_printable(update["refused"]))
        click.echo(line_of(update))
        if (status := update["status"]) in TERMINAL_STATUSES:
            return _code_of(status)


def line_of(update: Update) -> str:
    """An update in one line: status, percentage, description, error, as far as there are any."""
    progress = update.get("progress")
    shown = [
        update["status"],
        None if progress is None else f"{progress:g} %",
        update.get("description") or update.get("currentPlatform"),
        update.get("error"),
    ]
    return "  ".join(_printable(str(part)) for part in shown if part)


def _printable(text: str) -> str:
    """On one line, and without what a terminal would obey."""
    return "".join(filter(str.isprintable, " ".join(text.split())))


def _code_of(status: str) -> int:
    if status in SUCCESS_STATUSES:
        return 0
    return CANCELLED if status == "cancelled" else FAILED
