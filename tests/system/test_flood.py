"""One client floods, five hundred others notice nothing: what each of them was sent is counted."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests import flood
from tests.stack import Stack

CLIENTS = 500
UPDATES = 20


@pytest.fixture(scope="module")
def flooded(tmp_path_factory: pytest.TempPathFactory):
    """Valkey and a web process with its usual limits, but for how often an address may come."""
    environment = flood.ENVIRONMENT | {"JOBCAST_LIMIT_HANDSHAKES_PER_MINUTE": "100"}  # soon reached
    running = Stack(tmp_path_factory.mktemp("flooded"), **environment)
    try:
        running.valkey.start()
        running.start_web()
        yield running
    finally:
        running.stop()


def test_a_flood_of_one_client_costs_no_other_an_update(flooded):
    """Whatever can be sent, by turns; the flooder is turned away again and again."""
    turned_away = asyncio.run(watch_the_flood(flooded))
    assert all(turned_away[kind] > 0 for kind in flood.KINDS), turned_away


async def watch_the_flood(stack: Stack) -> dict[str, int]:
    turned_away: dict[str, int] = {}
    async with flood.Crowd(stack.port, CLIENTS) as pending_limit:
        for kind in flood.KINDS:
            flooding = asyncio.create_task(flood.flood(stack.port, kind, 3))
            for _ in range(UPDATES):
                await asyncio.to_thread(flood.update, stack)
                await asyncio.sleep(0.1)
            turned_away[kind] = await flooding
            await everything_arrives(pending_limit)
            pending_limit.take()
        assert pending_limit.lost == 0
    return turned_away


async def everything_arrives(pending_limit: flood.Crowd) -> None:
    end = time.monotonic() + 15
    while pending_limit.missing(UPDATES) and time.monotonic() < end:
        await asyncio.sleep(0.05)
    assert pending_limit.missing(UPDATES) == 0
