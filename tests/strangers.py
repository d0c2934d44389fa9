"""A stranger's app, stock Celery in one file: tasks as others write them, with and without our base class."""

from __future__ import annotations

import contextlib
import ctypes
import os
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any, ClassVar

from celery import Celery, Task, states
from celery.exceptions import Ignore

import jobcast
from jobcast.celery import ProgressTask, connect

URL = os.environ["REDIS_URL"]
app = Celery("strangers", broker=URL, backend=URL)
app.conf.broker_connection_retry_on_startup = True
connect(app, tasks=["plain.*"], exclude=["plain.hidden"])

LONG = 3_000
ONCE = {"max_retries": 1, "countdown": 0}


class Tenant(Task):
    """A base with a ``__call__`` of its own, as Flask's documentation has it for the app's context."""

    abstract = True
    entered: ClassVar[list[str]] = []

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        Tenant.entered.append("in")
        try:
            return self.run(*args, **kwargs)
        finally:
            Tenant.entered.append("out")


class Before(Tenant, ProgressTask):
    abstract = True


class After(ProgressTask, Tenant):
    abstract = True


@app.task(bind=True, base=Before)
def mixed_before(self: Any) -> list[str]:
    return _entered(self)


@app.task(bind=True, base=After)
def mixed_after(self: Any) -> list[str]:
    return _entered(self)


@app.task(bind=True, base=Tenant, name="plain.mixed")
def mixed_plain(self: Any) -> list[str]:
    list(jobcast.track(range(3)))
    return list(Tenant.entered[-1:])


def _entered(self: Any) -> list[str]:
    list(self.progress.track(range(3)))
    return list(Tenant.entered[-1:])


@app.task(bind=True, base=ProgressTask)
def numbers(self: Any) -> None:
    self.progress.update(total=Decimal(10))
    for _ in range(5):
        self.progress.advance(Decimal(1))
    raise ValueError("half-way")


@app.task(bind=True, base=ProgressTask)
def crawl(self: Any) -> str:
    self.progress.update(total=2, completed=1, details=Counter({200: 5, 404: 1}))
    return "done"


@app.task(bind=True, base=ProgressTask)
def helped(self: Any) -> None:
    self.progress.update(total=8)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: self.progress.advance(), range(8)))
    raise ValueError("stop here")


@app.task(bind=True, base=ProgressTask)
def walk(self: Any, depth: int) -> int:
    """Calls itself as a function, and goes on for a second after that."""
    if not depth:
        return 1
    found = self(depth - 1) + walk(depth - 1)
    for _ in self.progress.track(range(100)):
        time.sleep(0.01)
    return found


@app.task(bind=True, base=ProgressTask)
def falls_back(self: Any, quick: bool = False) -> str:
    if quick:
        raise RuntimeError("the quick way is closed")
    with contextlib.suppress(RuntimeError):
        falls_back(True)
    return "slow way"


def _work(self: Any, log: str) -> str:
    """Swallows what goes wrong with an item, and cleans up with a report."""
    with open(log, "a") as file:
        file.write("began\n")
    try:
        for _ in range(LONG):
            try:
                self.progress.advance()
                time.sleep(0.01)
            except Exception:  # noqa: BLE001  # it is what strangers do
                pass
    finally:
        self.progress.update(description="cleaning up")
        self.progress.advance()
        with open(log, "a") as file:
            file.write("cleaned\n")
    return "ran to the end"


swallows = app.task(bind=True, base=ProgressTask, name="swallows")(_work)
retries_all = app.task(
    bind=True, base=ProgressTask, name="retries_all", autoretry_for=(Exception,), default_retry_delay=0
)(_work)


@app.task(name="plain.cancelled")
def plain_cancelled() -> None:
    for _ in jobcast.track(range(LONG), description="anywhere"):
        time.sleep(0.01)


@app.task(name="total")
def total(parts: list[Any]) -> str:
    return "ran"


@app.task(bind=True, base=ProgressTask, cancel_grace=0.3)
def ignores(self: Any) -> None:
    """Reports nothing more that could stop it."""
    self.progress.advance()
    while True:
        time.sleep(0.05)


@app.task(bind=True, base=ProgressTask)
def hooked(self: Any) -> None:
    for _ in self.progress.track(range(LONG)):
        time.sleep(0.01)


class Unwritable:
    pass


@app.task(bind=True, base=ProgressTask)
def unwritable(self: Any) -> Any:
    list(self.progress.track(range(3)))
    return {"report": Unwritable()}


@app.task(bind=True, base=ProgressTask)
def says(self: Any, state: str) -> None:
    self.progress.update(total=10, completed=4)
    meta = {"exc_type": "ValueError", "exc_message": ["no such file"]} if state == states.FAILURE else {}
    self.update_state(state=state, meta=meta)
    raise Ignore


class ApiError(Exception):
    """``__str__`` returns whatever the server has sent."""

    def __init__(self, body: Any) -> None:
        super().__init__(body)
        self.body = body

    def __str__(self) -> str:
        return self.body


@app.task(bind=True, base=ProgressTask)
def misbehaves(self: Any, body: Any) -> None:
    raise ApiError(body)


@app.task(
    bind=True,
    base=ProgressTask,
    autoretry_for=(RuntimeError,),
    retry_kwargs={"max_retries": 1, "countdown": 0},
)
def retried(self: Any) -> str:
    if not self.request.retries:
        raise RuntimeError("not yet")
    return "second time"


@app.task(bind=True, base=ProgressTask)
def once(self: Any, log: str, how: str = "") -> str:
    if how == "ignore":
        raise Ignore
    for _ in self.progress.track(range(LONG if how else 3)):
        time.sleep(0.01)
    with open(log, "a") as file:
        file.write(f"{self.request.id}\n")
    return "done"


@app.task(bind=True, base=ProgressTask)
def replaces(self: Any, log: str) -> None:
    self.progress.advance()
    raise self.replace(once.s(log))


@app.task(name="plain.count")
def plain_count(n: int) -> int:
    deep_down(n)
    return n


def deep_down(n: int) -> None:
    for _ in jobcast.track(range(n), description="deep down"):
        pass
    jobcast.current().result(url="/files/1")


@app.task(name="plain.fails", autoretry_for=(RuntimeError,), retry_kwargs=ONCE)
def plain_fails() -> None:
    jobcast.current().update(total=10, completed=4)
    raise RuntimeError("always")


@app.task(name="plain.hidden")
def hidden() -> None:
    jobcast.current().advance()


@app.task(bind=True, base=ProgressTask)
def holds(self: Any, seconds: int) -> str:
    """A C extension that keeps the interpreter's lock: no thread of this process runs meanwhile."""
    self.progress.update(total=2, completed=1)
    time.sleep(0.3)
    ctypes.PyDLL(None).sleep(seconds)
    return "fine"


@app.task(bind=True, base=ProgressTask)
def stages(self: Any) -> None:
    upload, index = self.progress.stage("Upload", weight=3), self.progress.stage("Index")
    with upload as part:
        list(part.track(range(10)))
    with index as part:
        part.update(total=2, completed=1)
        raise ValueError("half-way through the last quarter")


@app.task(bind=True, base=ProgressTask)
def blocks(self: Any, seconds: float) -> str:
    """In a pool of green threads: nothing else of this process runs meanwhile."""
    from eventlet import patcher

    self.progress.update(total=2, completed=1)
    time.sleep(0.3)
    patcher.original("time").sleep(seconds)
    return "fine"


@app.task(name="plain.short")
def plain_short(n: int, pause: float) -> int:
    for _ in jobcast.track(range(n)):
        time.sleep(pause)
    return n
