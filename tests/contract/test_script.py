"""The ledger's script on its own connection: whatever happens to that, nothing is lost or written twice."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import closing

import pytest
import redis

from jobcast.embedded import EmbeddedValkey
from jobcast.ledger import RedisLedger
from jobcast.models import JobStatusUpdate

WRITERS = 8
EACH = 50


@pytest.fixture
def client(valkey: EmbeddedValkey) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(valkey.url) as client:
        yield client


@pytest.fixture
def ledger(valkey: EmbeddedValkey) -> Iterator[RedisLedger]:
    with closing(RedisLedger.from_url(valkey.url, history=1_000)) as ledger:
        ledger.ping()
        yield ledger


def append(ledger: RedisLedger, job_id: str, progress: float = 1) -> int:
    update = JobStatusUpdate(job_id=job_id, status="in_progress", progress=progress)
    return ledger.append_job(update).sequence


def connections(client: redis.Redis) -> set[str]:
    return {one["id"] for one in client.client_list()}


def test_one_writer_needs_one_connection(client, ledger):
    """The pool is not asked: what it has at hand could be anybody's."""
    append(ledger, "one-writer")
    before = connections(client)
    assert [append(ledger, "one-writer") for _ in range(10)] == list(range(2, 12))
    assert connections(client) == before


def test_a_script_that_was_forgotten_is_loaded_again(client, ledger):
    """A restart forgets it, and so does SCRIPT FLUSH."""
    append(ledger, "forgotten")
    client.script_flush()
    assert append(ledger, "forgotten") == 2


def test_a_connection_that_was_cut_is_made_anew(client, ledger):
    """Redis' own time-out, or an administrator."""
    append(ledger, "cut")
    client.client_kill_filter(_type="normal", skipme=True)
    assert [append(ledger, "cut"), append(ledger, "cut")] == [2, 3]


def test_writers_at_the_same_time_do_not_wait_for_each_other_or_mix_their_answers(ledger):
    """Who finds the connection taken goes the long way."""
    sequences: dict[int, list[int]] = {}

    def write(number: int) -> None:
        sequences[number] = [append(ledger, f"writer-{number}") for _ in range(EACH)]

    threads = [threading.Thread(target=write, args=(number,)) for number in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sequences == {number: list(range(1, EACH + 1)) for number in range(WRITERS)}


def test_a_writer_that_waits_does_not_hold_up_another(ledger):
    """The connection is taken; the other goes through as soon as Redis answers anybody."""
    append(ledger, "held")
    with ledger._script._busy:
        assert append(ledger, "held") == 2


def test_a_forked_child_writes_on_a_connection_of_its_own(ledger):
    """Celery forks after the ledger was made; on one connection each would read what the other was told."""
    append(ledger, "forked")
    child = os.fork()
    if child == 0:
        right = [append(ledger, "forked-child") for _ in range(EACH)] == list(range(1, EACH + 1))
        os._exit(0 if right else 1)
    parents = [append(ledger, "forked") for _ in range(EACH)]
    _, status = os.waitpid(child, 0)
    assert (os.waitstatus_to_exitcode(status), parents) == (0, list(range(2, EACH + 2)))
    assert append(ledger, "forked") == EACH + 2  # still there after the child has gone
