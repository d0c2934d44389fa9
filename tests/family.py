"""A worker whose tasks start other tasks, in every way that Celery has."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery, chain, chord, group

from jobcast.celery import ProgressTask

app = Celery("family", broker=os.environ["REDIS_URL"], backend=os.environ["REDIS_URL"])
app.conf.task_ignore_result = False


@app.task(bind=True, base=ProgressTask, name="family.child", max_retries=1)
def child(self: Any, *_: Any, retries: int = 0) -> None:
    """Do nothing, or fail once and do nothing then."""
    if self.request.retries < retries:
        raise self.retry(countdown=0)


@app.task(bind=True, base=ProgressTask, name="family.broken")
def broken(self: Any) -> None:
    """Fail."""
    raise ValueError("no")


@app.task(name="family.silent")
def silent(*_: Any) -> None:
    """Report nothing, and queue a job."""
    child.apply_async(task_id="grandchild")


def named(name: str) -> Any:
    """A child that has this id, whatever comes before it."""
    return child.si().set(task_id=name)


@app.task(bind=True, base=ProgressTask, name="family.parent")
def parent(self: Any) -> None:
    """Start the whole family."""
    child.apply_async(task_id="delayed", kwargs={"retries": 1})
    silent.delay()
    chain(named("chain-1"), named("chain-2"), named("chain-3")).delay()
    group(named("group-1"), named("group-2")).delay()
    chord([named("chord-1"), named("chord-2")], named("chord-body")).delay()
    child.apply_async(task_id="linked", link=named("callback"))
    broken.apply_async(task_id="broken", link_error=named("errback"))
