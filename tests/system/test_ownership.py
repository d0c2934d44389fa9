"""A job belongs to whoever it was queued for, and so does all that its task starts."""

from __future__ import annotations

import pytest
from celery import Celery

from jobcast import InvalidPayload, owned_by
from jobcast.ledger import Ledger
from jobcast.topics import job_topic
from tests.stack import Stack, wait_for

ANA = {"ownerId": "ana", "brandId": "acme"}
#: The ids of all that ``family.parent`` starts.
FAMILY = (
    "delayed grandchild chain-1 chain-2 chain-3 group-1 group-2 chord-1 chord-2 chord-body linked callback "
    "broken errback"
)


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory):
    """A store and a worker; no web process."""
    running = Stack(tmp_path_factory.mktemp("family"))
    try:
        running.valkey.start()
        running.start_worker("tests.family")
        yield running
    finally:
        running.stop()


@pytest.fixture
def queue(family, producer):
    """Queue a task by name, as a process does that does not know it."""
    app: Celery = producer(family)
    yield app.send_task
    app.close()


def owner_of(ledger: Ledger, job_id: str) -> dict[str, str]:
    """The owner and the brand of a job that has ended."""
    wait_for(lambda: (job := ledger.job(job_id)) and job.is_terminal, what=f"the end of {job_id}")
    meta = ledger.meta(job_topic(job_id))
    return {name: meta[name] for name in ANA if name in meta}


def test_whatever_a_task_starts_belongs_to_its_owner(family, queue):
    """Children, a grandchild by way of a task that reports nothing, chains, groups, chords, callbacks."""
    with owned_by("ana", brand="acme"):
        queue("family.parent", task_id="parent")
    owners = {job_id: owner_of(family.ledger, job_id) for job_id in ["parent", *FAMILY.split()]}
    assert owners == dict.fromkeys(owners, ANA)


def test_an_inner_block_changes_what_it_names_and_a_header_counts_most(family, queue):
    with owned_by("ana", brand="acme"):
        with owned_by(brand="globex"):
            queue("family.child", task_id="inner")
        queue("family.child", task_id="header", headers={"jobcast": {"ownerId": "ben"}})
    queue("family.child", task_id="outside")
    assert owner_of(family.ledger, "inner") == {"ownerId": "ana", "brandId": "globex"}
    assert owner_of(family.ledger, "header") == {"ownerId": "ben", "brandId": "acme"}
    assert owner_of(family.ledger, "outside") == {}


@pytest.mark.parametrize("user", ["", 7, "\n"])
def test_what_can_name_no_user_owns_nothing(user):
    with pytest.raises(InvalidPayload), owned_by(user):
        pass
