"""Whose jobs are queued here: the user, and the brand, that may see them once a server asks for tokens."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

from jobcast.topics import valid_id

_owner: ContextVar[dict[str, str] | None] = ContextVar("jobcast_owner", default=None)


@contextlib.contextmanager
def owned_by(user: str | None = None, *, brand: str | None = None) -> Iterator[None]:
    """Make ``user`` the owner of every job queued in this block, and ``brand`` the brand it belongs to.

    What is left out stays as a block around this one has it. The block is the current thread's, or
    asyncio task's, alone. Raises InvalidPayload for what can name no user or brand.
    """
    given = {"ownerId": user, "brandId": brand}
    named = {name: valid_id(value) for name, value in given.items() if value is not None}
    token = _owner.set(current_owner() | named)
    try:
        yield
    finally:
        _owner.reset(token)


def current_owner() -> dict[str, str]:
    """The ``ownerId`` and ``brandId`` that ``owned_by`` has named here, if any."""
    return dict(_owner.get() or {})
