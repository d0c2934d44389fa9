"""TLS to Redis: whose certificate is taken, by every part that connects."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from kombu.exceptions import OperationalError
from redis.exceptions import ConnectionError as RedisConnectionError

from jobcast import InvalidSetting, Settings
from jobcast.broadcaster import ledger_from
from jobcast.celery import make_celery
from jobcast.errors import LedgerUnavailable
from jobcast.models import JobStatusUpdate
from tests.stack import ROOT, wait_for
from tests.tls import self_signed, terminator


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return self_signed(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def url(valkey, certificate):
    with terminator(valkey.port, *certificate) as port:
        yield f"rediss://127.0.0.1:{port}/0"


@contextmanager
def everybody(settings: Settings) -> Iterator[list[Callable[[], object]]]:
    """Who connects: the ledger's client, Celery's broker and Celery's result backend."""
    ledger, app = ledger_from(settings), make_celery(settings)
    with app.connection_for_write() as connection:
        yield [ledger.ping, lambda: connection.ensure_connection(max_retries=1), app.backend.client.ping]
    ledger.close()
    app.close()


def reach_all(settings: Settings) -> None:
    with everybody(settings) as connects:
        for connect in connects:
            connect()


def refused_by_all(settings: Settings, reason: str) -> None:
    errors = (LedgerUnavailable, OperationalError, RedisConnectionError)
    with everybody(settings) as connects:
        for connect, error in zip(connects, errors, strict=True):
            with pytest.raises(error, match=reason):
                connect()


def test_a_certificate_that_nobody_vouches_for_is_refused(url):
    """By default, by all three; the ledger's error names the setting."""
    refused_by_all(Settings(redis_url=url), "CERTIFICATE_VERIFY_FAILED")
    with pytest.raises(LedgerUnavailable, match="JOBCAST_REDIS_CA"):
        ledger_from(Settings(redis_url=url)).ping()


def test_it_is_taken_when_its_authority_is_given(url, certificate):
    """JOBCAST_REDIS_CA, for all three."""
    reach_all(Settings(redis_url=url, jobcast_redis_ca=certificate[0]))


def test_another_hosts_certificate_is_refused_even_then(valkey, tmp_path):
    """A known authority is not enough: the name has to be the server's."""
    certificate = self_signed(tmp_path, "127.0.0.9")
    with terminator(valkey.port, *certificate) as port:
        settings = Settings(redis_url=f"rediss://127.0.0.1:{port}/0", jobcast_redis_ca=certificate[0])
        refused_by_all(settings, "IP address mismatch")


def test_one_named_setting_takes_any_and_says_so(url, caplog):
    """JOBCAST_REDIS_TLS_INSECURE, for all three."""
    reach_all(Settings(redis_url=url, jobcast_redis_tls_insecure=True))
    assert "JOBCAST_REDIS_TLS_INSECURE" in caplog.text


@pytest.mark.parametrize("variable", ["redis_url", "celery_broker_url"])
@pytest.mark.parametrize("option", ["ssl_cert_reqs=none", "ssl_check_hostname=false", "ssl_ca_certs=x"])
def test_a_url_cannot_switch_it_off(monkeypatch, variable, option):
    """There is one way to do that."""
    monkeypatch.setenv(variable.upper(), f"rediss://127.0.0.1:1/0?{option}")
    with pytest.raises(InvalidSetting, match=f"{variable.upper()}: .*JOBCAST_REDIS_TLS_INSECURE"):
        Settings.from_environment()


def test_a_web_process_listens_over_tls(own_stack, certificate):
    """With the authority: ready, and delivering what is published."""
    own_stack.valkey.start()
    with terminator(own_stack.valkey.port, *certificate) as port:
        own_stack.environment |= {"REDIS_URL": f"rediss://127.0.0.1:{port}/0"}
        own_stack.start_web(JOBCAST_REDIS_CA=str(certificate[0]))
        own_stack.ledger.append_job(JobStatusUpdate(job_id="j", status="pending"))
        assert own_stack.get("/api/jobs/j").json()["status"] == "pending"
        own_stack.stop()


def test_a_web_process_without_the_authority_is_never_ready_and_says_why(own_stack, certificate):
    """Its log names the certificate."""
    own_stack.valkey.start()
    with terminator(own_stack.valkey.port, *certificate) as port:
        environment = own_stack.environment | {"REDIS_URL": f"rediss://127.0.0.1:{port}/0"}
        log = own_stack.folder / "refused.log"
        with log.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "web"], cwd=ROOT, env=environment, stdout=file, stderr=file
            )
        try:
            wait_for(lambda: b"CERTIFICATE_VERIFY_FAILED" in log.read_bytes(), what="the reason")
            wait_for(lambda: b"serving on" in log.read_bytes(), what="a served port")
            assert own_stack.get("/readyz").status == 503
        finally:
            process.kill()
            process.wait()
