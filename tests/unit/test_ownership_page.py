"""The page about owners: every block of it runs, and its messages say what it promises."""

from __future__ import annotations

import re

from celery import Celery, signals

from jobcast.celery import ProgressTask
from tests.stack import ROOT

PAGE = ROOT / "docs" / "ownership.md"


def test_both_ways_to_name_an_owner_are_in_the_message():
    app = Celery("shop", broker="memory://", set_as_current=False)
    sent = []

    @app.task(base=ProgressTask)
    def resize(pictures):
        """Do nothing."""

    def note(headers, **_):
        sent.append(headers["jobcast"])

    signals.before_task_publish.connect(note)
    try:
        for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL):
            exec(compile(block, PAGE.name, "exec"), {"resize": resize})
    finally:
        signals.before_task_publish.disconnect(note)
        app.close()
    assert sent == [{"ownerId": "ana", "brandId": "acme"}] * 2
