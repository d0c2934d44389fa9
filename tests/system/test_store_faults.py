"""A store that is there and does not do its work: what is said, and that it passes as soon as it does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest
import redis
from redis.exceptions import ReadOnlyError

from jobcast import Settings
from jobcast.celery import make_celery
from jobcast.celery.queue import TaskQueue
from jobcast.embedded import EmbeddedValkey
from jobcast.errors import LedgerUnavailable, QueueUnavailable
from jobcast.ledger import RedisLedger
from jobcast.models import JobStatusUpdate
from jobcast.topics import job_topic
from tests.chaos.proxy import Network, Proxy
from tests.stack import Answer, Stack, wait_for

BODY = {"brandId": "b", "userId": "u", "posts": [{"content": "hi"}]}
UPDATE = JobStatusUpdate(job_id="j", status="in_progress")


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A web process and its store, without a worker."""
    running = Stack(tmp_path_factory.mktemp("web"))
    running.valkey.start()
    running.start_web()
    yield running
    running.stop()


@pytest.fixture
def client(web: Stack) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(web.valkey.url, decode_responses=True) as client:
        yield client


@pytest.fixture
def network() -> Iterator[Network]:
    made = Network()
    yield made
    made.stop()


@pytest.fixture
def two() -> Iterator[tuple[EmbeddedValkey, EmbeddedValkey]]:
    options = ("--shutdown-timeout", "0")  # not to wait for a replica that is told to stop as well
    with EmbeddedValkey(options=options) as first, EmbeddedValkey(options=options) as second:
        yield first, second


def demote(server: EmbeddedValkey, primary: EmbeddedValkey) -> None:
    with redis.Redis.from_url(server.url) as client:
        client.replicaof("127.0.0.1", primary.port)


def fail_over(proxy: Proxy, two: tuple[EmbeddedValkey, EmbeddedValkey]) -> None:
    """The second takes over behind the same address; connections to the first stay open."""
    proxy.lead_to(two[1].port)
    demote(two[0], primary=two[1])


def said_while(web: Stack, broken: list[tuple[str, ...]], mended: list[tuple[str, ...]]) -> list[Answer]:
    """What readiness and a request answer while the store is set up so; both work afterwards."""
    with redis.Redis.from_url(web.valkey.url) as client:
        for command in broken:
            client.execute_command(*command)
        try:
            return [web.get("/readyz"), web.post("/api/jobs/publish", BODY)]
        finally:
            for command in mended:
                client.execute_command(*command)
            wait_for(lambda: web.get("/readyz").status == 200, 5)
            assert web.post("/api/jobs/publish", BODY).status == 202


@pytest.mark.parametrize(
    ("broken", "mended", "reason"),
    [
        ([("REPLICAOF", "127.0.0.1", "1")], [("REPLICAOF", "NO", "ONE")], "read-only"),
        ([("CONFIG", "SET", "maxmemory", "1")], [("CONFIG", "SET", "maxmemory", "0")], "full"),
        ([("CONFIG", "SET", "min-replicas-to-write", "1")],
         [("CONFIG", "SET", "min-replicas-to-write", "0")], "too few replicas"),
        ([("ACL", "SETUSER", "default", "resetchannels")],
         [("ACL", "SETUSER", "default", "allchannels")], "(ACL) do not allow this user the channel"),
        ([("ACL", "SETUSER", "default", "-evalsha", "-eval")],
         [("ACL", "SETUSER", "default", "+evalsha", "+eval")], "(ACL) do not allow this user a command"),
    ],
)  # fmt: skip
def test_a_store_that_does_not_do_its_work_is_not_ready_and_is_called_by_its_fault(
    web, broken, mended, reason
):
    """Demoted, full, short of replicas, forbidding: a request says the same as the probe."""
    for answer in said_while(web, broken, mended):
        assert (answer.status, answer.json()["code"]) == (503, "unavailable")
        assert reason in answer.json()["detail"]
        assert "127.0.0.1" not in answer.text


def test_an_event_that_may_not_be_published_is_not_half_stored(client):
    """Redis 7's own rules give a new user no channel; what follows has no hole and no double."""
    with closing(RedisLedger.from_url(_url(client))) as ledger:
        for _ in range(2):
            ledger.append_job(UPDATE)
        client.execute_command("ACL", "SETUSER", "default", "resetchannels")
        try:
            with pytest.raises(LedgerUnavailable):
                ledger.append_job(UPDATE)
        finally:
            client.execute_command("ACL", "SETUSER", "default", "allchannels")
        ledger.append_job(UPDATE)
        assert [e.decoded()["sequence"] for e in ledger.history(job_topic("j")).events] == [1, 2, 3]


def test_a_ledger_lets_go_of_a_server_that_was_demoted(network, two):
    """Behind one address another takes over; the old connections stay open and would refuse for ever."""
    proxy = network.proxy(two[0].port)
    with closing(RedisLedger.from_url(f"redis://127.0.0.1:{proxy.port}/0")) as ledger:
        ledger.append_job(UPDATE)
        ledger.list_job("b", "j")
        fail_over(proxy, two)
        assert ledger.append_job(UPDATE).stored  # on the connection that is kept
        ledger.list_job("b", "j")  # a pipeline, on one of the pool
        ledger.request_cancel("j")


def test_a_queue_lets_go_of_a_server_that_was_demoted(network, two):
    """The message that was refused is sent again, with its id, where it is taken."""
    proxy = network.proxy(two[0].port)
    with closing(make_celery(Settings(redis_url=f"redis://127.0.0.1:{proxy.port}/0"))) as celery:
        queue = TaskQueue(celery)
        queue.send("t", "first", {}, {})
        fail_over(proxy, two)
        queue.send("t", "second", {}, {})
    with redis.Redis.from_url(two[1].url, decode_responses=True) as client:
        assert [text.count('"id": "second"') for text in client.lrange("celery", 0, -1)][:1] == [1]


def test_a_queue_that_stays_demoted_is_unavailable(two):
    """Once more is enough; the caller decides about later."""
    with closing(make_celery(Settings(redis_url=two[0].url))) as celery:
        queue = TaskQueue(celery)
        demote(two[0], primary=two[1])
        with pytest.raises(QueueUnavailable) as caught:
            queue.send("t", "first", {}, {})
    assert isinstance(caught.value.__cause__.__cause__.__cause__, ReadOnlyError)


def test_the_first_enqueue_after_idle_connections_were_cut_is_taken(web, client):
    """Hosted Redis cuts them after minutes, so this is everybody's first click."""
    for _ in range(3):
        waiting = client.llen("celery")
        client.client_kill_filter(_type="normal", skipme=True)
        assert web.post("/api/jobs/publish", BODY).status == 202
        assert client.llen("celery") == waiting + 1


def test_a_worker_whose_wait_is_ended_by_redis_connects_anew_and_goes_on(own_stack):
    """UNBLOCKED is what a primary that is demoted says to whoever waits for messages."""
    own_stack.valkey.start()
    worker = own_stack.start_worker(concurrency=1)
    with (
        redis.Redis.from_url(own_stack.valkey.url, decode_responses=True) as client,
        closing(make_celery(Settings(redis_url=own_stack.valkey.url))) as celery,
    ):

        def waiting() -> list[str]:
            return [c["id"] for c in client.client_list() if c["cmd"] == "brpop"]

        (first,) = wait_for(waiting)
        wait_for(lambda: client.execute_command("CLIENT", "UNBLOCK", first, "ERROR"))  # between two waits: 0
        wait_for(lambda: waiting() not in ([], [first]), what="a worker that waits again")
        celery.send_task("tests.count", args=(2,), task_id="j")
        wait_for(lambda: (job := own_stack.ledger.job("j")) and job.status == "completed")
    assert worker.poll() is None


def _url(client: redis.Redis) -> str:
    return f"redis://127.0.0.1:{client.get_connection_kwargs()['port']}/0"
