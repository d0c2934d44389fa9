"""A pytest fixture; switched on with ``pytest_plugins = ["jobcast.pytest_plugin"]`` in a ``conftest.py``."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from jobcast.testing import RecordedJobs, record


@pytest.fixture
def recorded_jobs() -> Iterator[RecordedJobs]:
    """What the jobs of this test have said; see ``jobcast.testing.record``."""
    with record() as jobs:
        yield jobs
