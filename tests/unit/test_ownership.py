"""Jobs of scripts belong to whoever their block names."""

from __future__ import annotations

import pytest

from jobcast import broadcast_job_update, broadcaster, job, owned_by
from jobcast.broadcaster import Broadcaster
from jobcast.ledger import MemoryLedger
from jobcast.reporter import Reporter
from jobcast.topics import job_topic


@pytest.fixture
def owner_of():
    """What the ledger has of a job, as soon as all was reported."""
    ledger = MemoryLedger()
    reporter = Reporter(ledger, interval=0.0)
    broadcaster.use(Broadcaster(reporter))

    def owner(job_id: str) -> dict[str, str]:
        assert reporter.flush()
        return dict(ledger.belongs_to(job_topic(job_id)))

    yield owner
    reporter.close()
    broadcaster.use(None)


def test_an_update_and_a_block_have_the_owner_around_them(owner_of):
    """What the block itself names counts more; after the block nobody is named."""
    with owned_by("ana", brand="acme"):
        broadcast_job_update("told", {"status": "in_progress"})
        with job("block"), owned_by("ben"):
            pass
        with job("named", owner="ben"):
            pass
    broadcast_job_update("after", {"status": "in_progress"})
    assert owner_of("told") == owner_of("block") == {"ownerId": "ana", "brandId": "acme"}
    assert owner_of("named") == {"ownerId": "ben", "brandId": "acme"}
    assert owner_of("after") == {}
