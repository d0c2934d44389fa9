"""What is done to the system, from outside. Each function does one thing to a world and says to whom."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

import redis

from tests.chaos.truth import tasks_of
from tests.chaos.world import World, children_of, end


@dataclass(slots=True)
class Fault:
    """``scope`` is part of the names of the connections it concerns; empty: all of them."""

    name: str
    start: float
    end: float
    detail: str = ""
    scope: str = ""
    killed: list[int] = field(default_factory=list)
    stopped: list[int] = field(default_factory=list)
    #: Sequence and epoch of every job when it ended.
    positions: dict[str, tuple[int, str]] = field(default_factory=dict)

    def concerns(self, connection: str) -> bool:
        return not self.scope or self.scope in connection.split("-")


@dataclass(slots=True)
class Hit:
    """What a fault function says about what it did."""

    detail: str = ""
    scope: str = ""
    killed: list[int] = field(default_factory=list)
    stopped: list[int] = field(default_factory=list)
    #: When it was over, if that was before the function returned.
    end: float | None = None


#: While these last nothing can be said to the ledger.
OUTAGES: Final = frozenset(
    ["pause-store", "stop-store", "restart-store", "empty-store", "age-store", "fill-store"]
)

Inject = Callable[[World, Random], Hit]


def kill_pubsub(world: World, rng: Random) -> Hit:
    """The listeners' connections, as an output-buffer limit does it."""
    return Hit(f"{world.command('CLIENT', 'KILL', 'TYPE', 'pubsub')} connections")


def kill_normal(world: World, rng: Random) -> Hit:
    """Every connection that writes and reads the ledger."""
    return Hit(f"{world.command('CLIENT', 'KILL', 'TYPE', 'normal')} connections")


def pause_store(world: World, rng: Random) -> Hit:
    """The store accepts commands and does not answer: a failover."""
    seconds, what = rng.uniform(0.5, 2.5), rng.choice(["ALL", "WRITE"])
    world.command("CLIENT", "PAUSE", str(int(seconds * 1000)), what)
    time.sleep(seconds)
    return Hit(f"{what} {seconds:.1f} s")


def stop_store(world: World, rng: Random) -> Hit:
    """The store's process hangs."""
    seconds = rng.uniform(0.5, 3.0)
    _freeze([world.valkey.pid], seconds)
    return Hit(f"{seconds:.1f} s")


def restart_store(world: World, rng: Random) -> Hit:
    """Killed, away for a while, back with its data."""
    seconds = rng.uniform(0.2, 2.5)
    world.restart_store(pause=seconds, data=world.data)
    return Hit(f"{seconds:.1f} s")


def empty_store(world: World, rng: Random) -> Hit:
    """Killed, away for a while, back with nothing."""
    seconds = rng.uniform(0.2, 2.5)
    world.restart_store(pause=seconds)
    return Hit(f"{seconds:.1f} s")


def age_store(world: World, rng: Random) -> Hit:
    """Killed, away for a while, back with a copy of a moment before: a failover to a lagging replica."""
    age, seconds = rng.uniform(0.2, 1.5), rng.uniform(0.2, 1.5)
    with world.copy_of_store() as copy:
        time.sleep(age)
        world.restart_store(pause=seconds, data=copy)
    return Hit(f"{age:.1f} s old, away {seconds:.1f} s")


def fill_store(world: World, rng: Random) -> Hit:
    """At its memory limit, without eviction: every write is refused, reads are answered."""
    seconds = rng.uniform(0.5, 2.5)
    world.command("CONFIG", "SET", "maxmemory", "1")
    try:
        time.sleep(seconds)
    finally:
        world.command("CONFIG", "SET", "maxmemory", "0")
    return Hit(f"{seconds:.1f} s")


def restart_broker(world: World, rng: Random) -> Hit:
    """The queue of tasks goes and comes back, with its data."""
    seconds = rng.uniform(0.2, 2.0)
    world.broker.stop()
    time.sleep(seconds)
    world.broker.start()
    return Hit(f"{seconds:.1f} s")


def kill_child(world: World, rng: Random) -> Hit:
    """As the kernel does when memory runs out."""
    pid = _busy_child(world, rng)
    os.kill(pid, signal.SIGKILL)
    return Hit(f"pid {pid}", killed=[pid])


def stop_child(world: World, rng: Random) -> Hit:
    """Shorter or longer than the three leases after which its job is taken for lost."""
    pid, seconds = _busy_child(world, rng), rng.uniform(0.3, 5.0)
    _freeze([pid], seconds)
    return Hit(f"{seconds:.1f} s", stopped=[pid])


def kill_worker(world: World, rng: Random) -> Hit:
    """The parent alone, with which the kernel kills its children, or all of it, as when a machine goes."""
    number = rng.randrange(len(world.workers))
    parent, whole = world.workers[number], rng.random() < 0.5
    children = children_of(parent.pid)
    moment = time.monotonic()
    for pid in children if whole else []:
        os.kill(pid, signal.SIGKILL)
    end(parent)
    world.workers[number] = world.new_worker()
    return Hit("parent and children" if whole else "parent alone", killed=children, end=moment)


def term_worker(world: World, rng: Random) -> Hit:
    """Asked to stop in the middle of its jobs, as in a deploy; a new one takes over."""
    number = rng.randrange(len(world.workers))
    parent = world.workers[number]
    moment = time.monotonic()
    parent.terminate()
    world.workers[number] = world.new_worker()
    parent.wait(30)
    return Hit(f"exit code {parent.returncode}", end=moment)


def stop_worker(world: World, rng: Random) -> Hit:
    """The parent, or all of it."""
    parent, seconds = rng.choice(world.workers), rng.uniform(0.5, 4.0)
    whole = rng.random() < 0.5
    pids = [parent.pid, *(children_of(parent.pid) if whole else [])]
    _freeze(pids, seconds)
    return Hit(f"{'parent and children' if whole else 'parent alone'} {seconds:.1f} s", stopped=pids)


def kill_web(world: World, rng: Random) -> Hit:
    """Killed, and started again on its port."""
    number, seconds = rng.randrange(2), rng.uniform(0.0, 1.0)
    world.restart_web(number, seconds)
    return Hit(f"web {number}", f"w{number}")


def term_web(world: World, rng: Random) -> Hit:
    """Asked to stop; it tells its clients, sees them out, and is started again on its port."""
    number = rng.randrange(2)
    world.webs[number].terminate()
    world.webs[number].wait(30)
    world.restart_web(number, 0.0)
    return Hit(f"web {number}", f"w{number}")


def stop_web(world: World, rng: Random) -> Hit:
    number, seconds = rng.randrange(2), rng.uniform(0.5, 4.0)
    _freeze([world.webs[number].pid], seconds)
    return Hit(f"web {number} {seconds:.1f} s", f"w{number}")


def kill_client(world: World, rng: Random) -> Hit:
    """Half of the subscribers start again with nothing."""
    number = rng.randrange(2)
    end(world.clients[number])
    time.sleep(rng.uniform(0.0, 1.0))
    world.clients[number] = world.new_client(number)
    return Hit(f"client {number}", f"c{number}")


def stop_client(world: World, rng: Random) -> Hit:
    number, seconds = rng.randrange(2), rng.uniform(0.5, 4.0)
    _freeze([world.clients[number].pid], seconds)
    return Hit(f"client {number} {seconds:.1f} s", f"c{number}")


def cut_network(world: World, rng: Random) -> Hit:
    """Two seconds in which connections are reset and refused."""
    return _network(world, rng, "cut")


def hang_network(world: World, rng: Random) -> Hit:
    """Two seconds in which nothing gets through, and afterwards everything does."""
    return _network(world, rng, "hang")


def inject(name: str, world: World, rng: Random) -> Fault:
    """Do it, and look at what the ledger holds when it is over."""
    start = time.monotonic()
    hit = FAULTS[name](world, rng)
    over = time.monotonic() if hit.end is None else hit.end
    fault = Fault(name, start, over, hit.detail, hit.scope, hit.killed, hit.stopped)
    if hit.end is None:
        with contextlib.suppress(redis.RedisError):  # away, by another fault at the same time
            fault.positions = positions(world)
    return fault


def positions(world: World) -> dict[str, tuple[int, str]]:
    """Sequence and epoch of every job the ledger knows, read from outside."""
    found: dict[str, tuple[int, str]] = {}
    with redis.Redis(port=world.valkey.port, decode_responses=True, socket_timeout=5) as client:
        keys: Any = list(client.scan_iter("jobcast:{job:*}:state", count=1000))
        with client.pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.hmget(key, "sequence", "epoch")
            for key, (sequence, epoch) in zip(keys, pipe.execute(), strict=True):
                if sequence:
                    found[key.split("{job:")[1].split("}")[0]] = (int(sequence), epoch)
    return found


def _network(world: World, rng: Random, what: str) -> Hit:
    number = rng.randrange(2)
    world.network(number, what)
    time.sleep(2.0)
    world.network(number, "mend")
    return Hit(f"web {number}", f"w{number}")


def _freeze(pids: list[int], seconds: float) -> None:
    _signal(pids, signal.SIGSTOP)
    try:
        time.sleep(seconds)
    finally:
        _signal(pids, signal.SIGCONT)


def _signal(pids: list[int], signum: signal.Signals) -> None:
    for pid in pids:
        try:
            os.kill(pid, signum)
        except ProcessLookupError:
            continue  # it has ended by itself


def _busy_child(world: World, rng: Random) -> int:
    """A child that runs a task right now, or else any."""
    alive = [pid for worker in world.workers for pid in children_of(worker.pid)]
    running = {task.pid for task in tasks_of(world.truth.lines(), {}).values() if not task.is_over}
    return rng.choice([pid for pid in alive if pid in running] or alive)


FAULTS: Final[dict[str, Inject]] = {
    "kill-pubsub": kill_pubsub,
    "kill-normal": kill_normal,
    "pause-store": pause_store,
    "stop-store": stop_store,
    "restart-store": restart_store,
    "empty-store": empty_store,
    "age-store": age_store,
    "fill-store": fill_store,
    "restart-broker": restart_broker,
    "kill-child": kill_child,
    "stop-child": stop_child,
    "kill-worker": kill_worker,
    "stop-worker": stop_worker,
    "term-worker": term_worker,
    "kill-web": kill_web,
    "stop-web": stop_web,
    "term-web": term_web,
    "kill-client": kill_client,
    "stop-client": stop_client,
    "cut-network": cut_network,
    "hang-network": hang_network,
}
