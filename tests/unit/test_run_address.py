"""Where ``make run`` says to look."""

from __future__ import annotations

import pytest

from scripts.run import AllSettings, address_of


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("", "http://127.0.0.1:5001"),
        ("localhost", "http://127.0.0.1:5001"),
        ("::1", "http://[::1]:5001"),
        ("::", "http://[::1]:5001"),
        ("192.0.2.7", "http://192.0.2.7:5001"),
    ],
)
def test_the_address_is_one_that_listens(host, address):
    """An IPv6 address in brackets; that of every interface is no address to look at."""
    assert address_of(AllSettings(host=host, port=5001)) == address
