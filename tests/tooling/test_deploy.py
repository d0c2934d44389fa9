"""What is deployed is what is tested here: the same commands, files that exist, packages that are pinned."""

from __future__ import annotations

import ast
import json
import re
import shlex
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml

from scripts.run import procfile
from tests.stack import ROOT
from tests.tooling.test_requirements import pinned

SERVICES = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
DEPLOYED = ("jobcast", "tasks", "web", "worker")

#: For one machine, and for tests.
LOCAL = (ROOT / "jobcast" / "embedded.py", ROOT / "jobcast" / "pytest_plugin.py")


def test_image_and_procfile_run_the_same_commands():
    """One way to start a web process, one way to start a worker."""
    commands = {name: command.split("$PPID ", 1)[1] for name, command in procfile().items()}
    (web,) = re.findall(r"^CMD (.*)$", DOCKERFILE, re.M)
    assert shlex.join(json.loads(web)) == commands["web"]
    assert shlex.join(SERVICES["worker"]["command"]) == commands["worker"]


def test_everything_the_image_copies_exists_and_is_let_through():
    """.dockerignore names what may go in, so a new folder has to be added there too."""
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = [line.split()[1:-1] for line in DOCKERFILE.splitlines() if re.match(r"COPY (?!--from)", line)]
    for source in (source for sources in copied for source in sources):
        assert (ROOT / source).exists(), source
        assert {source, source.split("/")[0] + "/"} & allowed, source


def test_every_deployed_package_is_in_the_image():
    """A package that is imported but not copied would be missed at start only."""
    for package in DEPLOYED:
        assert f"COPY {package}/ {package}/\n" in DOCKERFILE


def imports(path: Path) -> set[str]:
    """Top-level names of the modules a file imports."""
    tree = ast.parse(path.read_text())
    plain = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    from_ = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    return {name.split(".")[0] for name in (*plain, *from_)}


@pytest.mark.parametrize("package", DEPLOYED)
def test_what_is_imported_in_production_is_in_requirements_txt(package):
    """A package that only the development file pins would be missing on a platform."""
    files = [path for path in (ROOT / package).rglob("*.py") if path not in LOCAL]
    chosen = {"gevent"}  # SOCKETIO_ASYNC_MODE=gevent is for those who install it, and says so
    known = sys.stdlib_module_names | set(DEPLOYED) | chosen
    names = {name for path in files for name in imports(path)} - known
    installed, pins = packages_distributions(), pinned("requirements.txt")
    homeless = [
        name
        for name in names
        if not pins.keys() & {found.lower().replace("_", "-") for found in installed[name]}
    ]
    assert homeless == []


def test_vercel_passes_on_what_the_python_host_serves():
    """Every polling route, Socket.IO itself, and the dashboard's example files."""
    sources = [rule["source"] for rule in json.loads((ROOT / "vercel.json").read_text())["rewrites"]]
    for path in ("/api/jobs/job-1", "/api/config", "/socket.io/", "/examples/content_calendar.csv"):
        assert any(re.fullmatch(source, path) for source in sources), path
