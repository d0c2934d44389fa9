"""``python -m bench.stock MODE``: Flask-SocketIO with ``message_queue``, as its documentation has it.

``MODE`` is eventlet, gevent or threading. One thing is kinder than the documentation: eventlet may hold more
than its 1,024 connections.
"""

from __future__ import annotations

import os
import sys
import warnings
from typing import Any

MODE = sys.argv[1] if len(sys.argv) > 1 else "eventlet"
if MODE == "eventlet":
    warnings.filterwarnings("ignore", message=r"\s*Eventlet is deprecated")
    import eventlet

    eventlet.monkey_patch()
elif MODE == "gevent":
    import gevent.monkey

    gevent.monkey.patch_all()

import logging  # noqa: E402
import resource  # noqa: E402

import flask  # noqa: E402
import flask_socketio  # noqa: E402

OPTIONS: dict[str, dict[str, Any]] = {
    "eventlet": {"max_size": 100_000},
    "gevent": {},
    "threading": {"allow_unsafe_werkzeug": True},
}


def make_server() -> tuple[flask.Flask, flask_socketio.SocketIO]:
    app = flask.Flask(__name__)
    server = flask_socketio.SocketIO(app, message_queue=os.environ["REDIS_URL"], async_mode=MODE)

    @server.on("connect", namespace="/jobs")  # type: ignore[untyped-decorator]  # untyped library
    def connect() -> None:
        """Let everybody in."""

    @server.on("subscribe-job", namespace="/jobs")  # type: ignore[untyped-decorator]
    def subscribe(job_id: str) -> None:
        flask_socketio.join_room(f"job:{job_id}")
        flask_socketio.emit("subscribed", {"jobId": job_id})

    @app.get("/healthz")
    def health() -> str:
        return "ok"

    return app, server


def main() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    app, server = make_server()
    server.run(app, host="127.0.0.1", port=int(os.environ["PORT"]), **OPTIONS[MODE])


if __name__ == "__main__":
    main()
