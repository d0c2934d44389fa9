"""The wheel in other people's projects: nothing but itself, and a job is seen by push and by poll."""

from __future__ import annotations

import re
import subprocess
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.stack import ROOT, Stack, wait_for
from tests.watcher import Watcher
from tests.wheel import build, environment

FOREIGN = ROOT / "tests" / "foreign"


@dataclass(frozen=True)
class Project:
    """``extras``: what of Jobcast it installs. ``celery_app``: what its worker runs, if it has one."""

    name: str
    extras: str
    celery_app: str = ""


PROJECTS = [
    Project("flask_shop", "celery,server,eventlet", "make_celery:celery_app"),
    Project("django_shop", "celery,server,eventlet", "shop"),
    Project("script", "server"),
]


@pytest.fixture(scope="session")
def built(tmp_path_factory) -> Path:
    return build(tmp_path_factory.mktemp("wheel"))


def test_the_wheel_holds_jobcast_and_nothing_else(built):
    """No ``web``, ``tasks`` or ``worker`` that would lie on top of somebody's own."""
    names = zipfile.ZipFile(built).namelist()
    assert {name.split("/")[0] for name in names} == {"jobcast", "jobcast-0.1.0.dist-info"}
    ours = {"jobcast/testing.py", "jobcast/pytest_plugin.py"}  # for the tests of those who install it
    assert not [name for name in names if name not in ours and re.search("test|__pycache__", name)]


def test_the_wheel_has_what_is_not_python(built):
    """Types, the ledger's script, the dashboard and the bundle."""
    names = set(zipfile.ZipFile(built).namelist())
    static = "jobcast/flask/static"
    wanted = {"jobcast/py.typed", "jobcast/ledger/ledger.lua", f"{static}/index.html", f"{static}/jobcast.js"}
    assert names >= wanted
    assert [name for name in names if name.startswith(f"{static}/assets/index-") and name.endswith(".js")]


def test_an_index_can_show_the_description(built):
    """No link into a checkout, and no picture out of one."""
    archive = zipfile.ZipFile(built)
    metadata = archive.read("jobcast-0.1.0.dist-info/METADATA").decode()
    assert "Description-Content-Type: text/markdown" in metadata
    assert "pip install" in metadata
    assert "](docs/" not in metadata


@pytest.mark.parametrize("project", PROJECTS, ids=lambda project: project.name)
def test_a_job_of_a_foreign_project_is_seen_by_push_and_by_poll(built, project, tmp_path):
    """Beside the project's own pins and modules, in an environment that knows nothing of this checkout."""
    see_a_job(built, project, FOREIGN / project.name, tmp_path)


def test_the_readmes_lines_for_celery_do_what_it_says(built, tmp_path):
    """As they stand there, with what it says to install."""
    folder = tmp_path / "readme"
    folder.mkdir()
    text = (ROOT / "README.md").read_text()
    task, script = (re.findall(f"```{kind}\n(.*?)```", text, re.S)[0] for kind in ("python", "py"))
    (folder / "shop.py").write_text(task)
    enqueue = "import sys, shop\nshop.resize.apply_async((['a', 'b'],), task_id=sys.argv[1])\n"
    (folder / "enqueue.py").write_text(f"{script}\n{enqueue}")
    see_a_job(built, Project("readme", "celery,server,eventlet", "shop:app"), folder, tmp_path)


def see_a_job(wheel: Path, project: Project, folder: Path, room: Path) -> None:
    """Install, serve, work, enqueue ``j``, and see it end by push and by poll."""
    listed = folder / "requirements.txt"
    pins = listed.read_text().split() if listed.exists() else []
    python = environment(room / "venv", f"jobcast[{project.extras}] @ {wheel.as_uri()}", *pins) / "python"
    stack = Stack(room, PYTHONPATH=str(folder), PYTHONDONTWRITEBYTECODE="1")
    stack.root = folder  # the checkout is not to be imported from
    stack.valkey.start()
    try:
        serve = [str(python.with_name("jobcast")), "serve", "--port", str(stack.port)]
        stack.start_web(command=serve)
        if project.celery_app:
            stack.start_worker(project.celery_app, python=python)
        there: dict[str, Any] = {"cwd": folder, "env": stack.environment, "check": True, "timeout": 30}
        with Watcher(stack.url) as watcher:
            watcher.call("subscribe-job", "j")
            enqueue = [str(python), str(folder / "enqueue.py"), "j"]
            subprocess.run(enqueue, **there)
            wait_for(lambda: "completed" in [u["status"] for u in watcher.updates("j")], what="a push")
        found = subprocess.run(
            [str(python), "-c", "import jobcast; print(jobcast.__file__)"], **there, stdout=subprocess.PIPE
        )
        assert Path(found.stdout.decode().strip()).is_relative_to(python.parents[1])
        polled = stack.get("/api/jobs/j").json()
        assert (polled["status"], polled["progress"]) == ("completed", 100)
        assert "Traceback" not in stack.logs()
    finally:
        stack.stop()
