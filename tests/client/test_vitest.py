"""The client's own test suite, so that one command runs everything."""

from __future__ import annotations

from tests.client.node import npm, run_node


def test_the_client_passes_its_own_tests() -> None:
    """Core, hooks and dashboard, under Vitest with a real Socket.IO server."""
    assert " passed" in run_node(npm(), "test")
