"""Somebody's Flask application with a Socket.IO server, sessions and rooms of its own.

``python -m tests.hosts.shop``: ``MODE`` is the async mode, ``ORDER`` says whether Jobcast comes ``before``
or ``after`` its ``socketio.init_app``, ``OWN_QUEUE`` and ``OWN_CHANNEL`` are its message queue, ``OWN_PATH``
is that of its Socket.IO server and ``MOUNT`` its own; ``KEYED``: no ``identify``. gunicorn serves it as well.
"""

from __future__ import annotations

import os

MODE = os.environ.get("MODE", "threading")
if MODE == "eventlet":
    import eventlet

    eventlet.monkey_patch()
elif MODE == "gevent":
    from gevent import monkey

    monkey.patch_all()

from flask import Flask, Request, abort, session  # noqa: E402
from flask_socketio import SocketIO, emit, join_room  # noqa: E402
from werkzeug.middleware.dispatcher import DispatcherMiddleware  # noqa: E402

from jobcast.flask import Identity, Jobcast  # noqa: E402
from jobcast.topics import Topic  # noqa: E402

socketio = SocketIO()


def identify(request: Request) -> str | None:
    """The user whose session this is, as Flask-Login does."""
    return session.get("user")


def authorise(identity: Identity, topic: Topic) -> bool | None:
    """The boss sees everything, nobody sees what is secret."""
    if topic.id == "secret":
        return False
    return True if identity.user == "boss" else None


@socketio.on("connect")
def connect(auth: object = None) -> None:
    emit("welcome", {"by": "the shop"})


@socketio.on("whisper")
def whisper(data: dict) -> None:
    socketio.emit("whispered", data["text"], to=data["to"])


@socketio.on("connect", namespace="/chat")
def connect_to_chat(auth: object = None) -> bool:
    return auth != {"name": "nobody"}


@socketio.on("join", namespace="/chat")
def join(room: str) -> str:
    join_room(room)
    return "joined"


@socketio.on("say", namespace="/chat")
def say(data: dict) -> None:
    emit("said", data["text"], to=data["room"])


@socketio.on("close", namespace="/chat")
def close(room: str) -> None:
    socketio.close_room(room, namespace="/chat")


def create_app() -> Flask:
    """The factory of the usual shape."""
    app = Flask(__name__)
    app.config["SECRET_KEY"] = "only for tests"
    users = {} if os.environ.get("KEYED") else {"identify": identify, "authorise": authorise}
    jobcast = Jobcast(socketio=socketio, **users)
    options = {"async_mode": MODE}
    if queue := os.environ.get("OWN_QUEUE"):
        options |= {"message_queue": queue, "channel": os.environ.get("OWN_CHANNEL", "flask-socketio")}
    if path := os.environ.get("OWN_PATH"):
        options |= {"path": path}
    if os.environ.get("ORDER") == "before":
        jobcast.init_app(app)
        socketio.init_app(app, **options)
    else:
        socketio.init_app(app, **options)
        jobcast.init_app(app)

    @app.get("/mine")
    def mine() -> str:
        return "mine"

    @app.get("/login/<user>")
    def login(user: str) -> str:
        session["user"] = user
        return user

    @app.get("/teapot")
    def teapot() -> None:
        abort(418)

    @app.get("/broken")
    def broken() -> None:
        raise RuntimeError("the shop's own")

    if mount := os.environ.get("MOUNT"):
        app.wsgi_app = DispatcherMiddleware(Flask("empty"), {mount: app.wsgi_app})
    return app


app = create_app()


@socketio.on("late", namespace="/chat")
def late(data: object) -> object:
    """A handler that is registered when everything else is done."""
    return data


if __name__ == "__main__":
    unsafe = {"allow_unsafe_werkzeug": True} if MODE == "threading" else {}
    socketio.run(app, host="127.0.0.1", port=int(os.environ["PORT"]), **unsafe)
