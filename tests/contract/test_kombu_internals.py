"""What ``jobcast.celery.visibility`` leans on below kombu's public surface, and what if it moves."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from celery import bootsteps
from kombu import Connection, Consumer, Producer, Queue
from kombu.transport import redis as transport

from jobcast.celery import visibility
from jobcast.celery.visibility import CELERY_TIMEOUT, TOUCHED, VisibilityRenewer, VisibilityStep, misfit
from tests.stack import wait_for


@pytest.fixture
def channel(valkey) -> Iterator[Any]:
    with Connection(valkey.url, transport_options={"visibility_timeout": 30}) as connection:
        yield connection.channel()


@pytest.fixture
def consumer(channel) -> Any:
    """A worker's consumer, as far as the step looks at it."""
    conf = SimpleNamespace(broker_transport_options={"visibility_timeout": 30})
    return SimpleNamespace(
        app=SimpleNamespace(conf=conf),
        blueprint=SimpleNamespace(state=bootsteps.RUN),
        connection_errors=(),
        steps=[],
        task_consumer=SimpleNamespace(channel=channel),
    )


def test_kombu_is_as_it_is_known(channel):
    assert misfit(channel) is None


def test_a_message_that_is_held_is_in_the_index_and_in_the_channel_under_its_tag(channel, valkey):
    """That is what is renewed, and what is told from what has been acknowledged."""
    messages: list[Any] = []
    with Consumer(channel, [Queue("held")], on_message=messages.append):
        Producer(channel).publish("x", routing_key="held")
        channel.connection.client.drain_events(timeout=5)
    tag = messages[0].delivery_tag
    assert channel.client.zscore(channel.qos.unacked_index_key, tag) is not None
    assert tag in set(channel.qos._delivered) - channel.qos._dirty
    messages[0].ack()
    assert channel.client.zscore(channel.qos.unacked_index_key, tag) is None
    assert tag in channel.qos._dirty or tag not in channel.qos._delivered


@pytest.mark.parametrize(("owner", "name"), list(TOUCHED))
def test_where_kombu_has_moved_a_worker_goes_on_with_celerys_own_timeout(
    channel, consumer, monkeypatch, caplog, owner, name
):
    """Nothing is replaced; and it is said which part has moved."""
    for base in owner.__mro__:
        if name in vars(base):
            monkeypatch.delattr(base, name)
    monkeypatch.setattr(channel.qos, name, None, raising=False) if owner is transport.QoS else None
    VisibilityStep(consumer).start(consumer)
    assert channel.visibility_timeout == channel.qos.visibility_timeout == CELERY_TIMEOUT
    assert consumer.app.conf.broker_transport_options["visibility_timeout"] == CELERY_TIMEOUT
    assert f"{owner.__name__}.{name} is gone" in caplog.text
    assert "restore_unacked" not in vars(channel.qos) or name == "restore_unacked"


def test_a_method_with_other_parameters_has_moved_too(channel, monkeypatch):
    monkeypatch.setattr(transport.QoS, "ack", lambda self, tag, multiple: None)
    assert misfit(channel) == "QoS.ack takes other parameters"


def test_a_renewal_that_raises_whatever_falls_back_and_goes_on(channel, consumer, monkeypatch, caplog):
    """A thread that ended silently would leave every long task to be run twice after half a minute."""
    caplog.set_level(logging.ERROR)
    tried = threading.Semaphore(0)
    monkeypatch.setattr(visibility, "RENEW_EVERY", 0.01)

    def renew(self: VisibilityRenewer) -> None:
        tried.release()
        raise AttributeError("_delivered")

    monkeypatch.setattr(VisibilityRenewer, "renew", renew)
    renewer = VisibilityRenewer(channel, consumer)
    renewer.start()
    assert all(tried.acquire(timeout=5) for _ in range(3))
    wait_for(lambda: channel.visibility_timeout == CELERY_TIMEOUT, 5)
    renewer._over.set()
    assert caplog.text.count("messages are not renewed") == 1
