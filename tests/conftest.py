"""Real servers for the tests. A missing server is an error, never a skip."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from celery import Celery

from jobcast import Settings
from jobcast.celery import make_celery
from jobcast.embedded import EmbeddedValkey
from tests.stack import Stack


@pytest.fixture(scope="session")
def valkey() -> Iterator[EmbeddedValkey]:
    """One server for tests that only need one."""
    with EmbeddedValkey() as server:
        yield server


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Valkey, web and worker as real processes, shared by the tests that break nothing."""
    with Stack(tmp_path_factory.mktemp("stack")) as running:
        yield running


@pytest.fixture
def own_stack(tmp_path: Path) -> Iterator[Stack]:
    """A stack of one's own, for tests that break things; start what is needed."""
    running = Stack(tmp_path)
    yield running
    running.stop()


@pytest.fixture(scope="session")
def producer() -> Callable[[Stack], Celery]:
    """A Celery app that enqueues by name for a stack, as the web process does."""
    return lambda stack: make_celery(Settings(redis_url=stack.valkey.url))
