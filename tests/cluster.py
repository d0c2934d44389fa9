"""A real cluster on loopback: primaries that share the slots, and replicas to take over."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import redis

from jobcast.embedded import EmbeddedValkey, free_port
from jobcast.ledger.cluster import PREFIX
from tests.stack import wait_for

SLOTS: Final = 16_384
#: Milliseconds after which a node that does not answer is taken for lost.
NODE_TIMEOUT: Final = 600


class ValkeyCluster:
    """``primaries`` nodes with slots, then ``replicas`` of the first of them; a context manager."""

    def __init__(self, folder: Path, primaries: int = 3, replicas: int = 0) -> None:
        self.nodes = [_node(folder / f"node{n}") for n in range(primaries + replicas)]
        self._primaries = primaries

    @property
    def url(self) -> str:
        """As Jobcast's own code opens it."""
        return PREFIX + self.nodes[-1].url

    def __enter__(self) -> ValkeyCluster:
        for node in self.nodes:
            node.start()
        self._share_out_slots()
        for number, node in enumerate(self.nodes[: self._primaries]):
            first, last = SLOTS * number // self._primaries, SLOTS * (number + 1) // self._primaries - 1
            self.command(node, "CLUSTER", "ADDSLOTSRANGE", first, last)
        wait_for(lambda: all(self._is_whole(node) for node in self.nodes), 10)
        for number, node in enumerate(self.nodes[self._primaries :]):
            self.command(node, "CLUSTER", "REPLICATE", self.id_of(self.nodes[number]))
        wait_for(lambda: all(self._is_synced(node) for node in self.nodes[self._primaries :]), 10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for node in self.nodes:
            node.stop()

    def command(self, node: EmbeddedValkey, *words: object) -> Any:
        """One command to one node."""
        with redis.Redis(port=node.port, decode_responses=True, socket_timeout=5) as client:
            return client.execute_command(*words)

    def id_of(self, node: EmbeddedValkey) -> str:
        return str(self.command(node, "CLUSTER", "MYID"))

    def owner(self, key: str) -> EmbeddedValkey:
        """The primary that has this key's slot."""
        slot = self.command(self.nodes[-1], "CLUSTER", "KEYSLOT", key)
        for first, last, (_, port, *_), *_ in self.command(self.nodes[-1], "CLUSTER", "SLOTS"):
            if first <= slot <= last:
                return next(node for node in self.nodes if node.port == port)
        raise LookupError(key)

    def kill(self, node: EmbeddedValkey) -> None:
        """As a machine that goes."""
        os.kill(node.pid, signal.SIGKILL)
        node.stop()

    def move(self, key: str) -> None:
        """Give a key's slot, with all that is in it, to another primary."""
        slot, source = int(self.command(self.nodes[0], "CLUSTER", "KEYSLOT", key)), self.owner(key)
        target = next(node for node in self.nodes[: self._primaries] if node is not source)
        self.command(target, "CLUSTER", "SETSLOT", slot, "IMPORTING", self.id_of(source))
        self.command(source, "CLUSTER", "SETSLOT", slot, "MIGRATING", self.id_of(target))
        while keys := self.command(source, "CLUSTER", "GETKEYSINSLOT", slot, 100):
            self.command(source, "MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)
        for node in (target, source, *self.nodes[: self._primaries]):
            self.command(node, "CLUSTER", "SETSLOT", slot, "NODE", self.id_of(target))

    def _share_out_slots(self) -> None:
        first = self.nodes[0]
        for node in self.nodes[1:]:
            bus = node.bus_port
            self.command(first, "CLUSTER", "MEET", "127.0.0.1", node.port, bus)
        wait_for(lambda: all(self._knows_all(node) for node in self.nodes), 10)

    def _knows_all(self, node: EmbeddedValkey) -> bool:
        lines = str(self.command(node, "CLUSTER", "NODES"))
        known = [line for line in _lines(lines) if "handshake" not in line]
        return len(known) == len(self.nodes)

    def _is_whole(self, node: EmbeddedValkey) -> bool:
        return "cluster_state:ok" in _text(self.command(node, "CLUSTER", "INFO"))

    def _is_synced(self, node: EmbeddedValkey) -> bool:
        return "master_link_status:up" in _text(self.command(node, "INFO", "replication"))


@contextmanager
def cluster(folder: Path, primaries: int = 3, replicas: int = 0) -> Iterator[ValkeyCluster]:
    with ValkeyCluster(folder, primaries, replicas) as running:
        yield running


class Node(EmbeddedValkey):
    """A server that knows its port on the cluster's bus."""

    bus_port = 0


def _node(folder: Path) -> Node:
    folder.mkdir()
    bus = free_port()
    options = (
        *("--cluster-enabled", "yes", "--cluster-port", str(bus), "--dir", str(folder)),
        *("--cluster-node-timeout", str(NODE_TIMEOUT), "--cluster-config-file", "nodes.conf"),
        *("--repl-diskless-sync-delay", "0", "--cluster-require-full-coverage", "no"),
    )
    node = Node(log=folder / "valkey.log", options=options)
    node.bus_port = bus
    return node


def _text(answer: Any) -> str:
    return answer if isinstance(answer, str) else "\n".join(f"{k}:{v}" for k, v in answer.items())


def _lines(answer: str) -> list[str]:
    return [line for line in answer.splitlines() if line]
