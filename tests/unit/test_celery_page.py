"""The page about Celery: every block of it runs."""

from __future__ import annotations

import re

from celery import Celery

from jobcast.testing import record
from tests.stack import ROOT

PAGE = ROOT / "docs" / "celery.md"


def test_every_block_of_the_page_runs_and_its_tasks_are_jobs():
    app = Celery("shop", broker="memory://", backend="cache+memory://", set_as_current=False)
    names: dict[str, object] = {"app": app}
    with record() as jobs:
        for number, block in enumerate(re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)):
            exec(compile(block, f"{PAGE.name}, block {number}", "exec"), names)
        names["import_file"].apply(args=[[1, 2]], task_id="import")
        names["publish"].apply(args=[[[1, 2], [3]]], task_id="publish")
    assert jobs["nightly-import"].status == jobs["publish"].status == "completed"
    assert jobs["import"].last.result == {"url": "/imports/1", "rows": 2}
    assert jobs["import"].last.log == ["2 rows"]
    app.close()
