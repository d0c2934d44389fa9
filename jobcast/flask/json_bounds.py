"""A bound on what is in a JSON body, checked before anybody makes objects of it.

Parsing and validation hold up everybody, and take as long as the body has values: a million unknown fields
are a million errors. Counting commas and brackets outside of strings is a few passes of C over the bytes.
"""

from __future__ import annotations

from typing import Final

from jobcast.errors import InvalidPayload

#: Largest body of a route that takes no files, in bytes.
BODY_BYTES: Final = 64 * 1024
#: Values, fields and brackets in such a body.
VALUES: Final = 2_000
#: Objects and arrays within each other.
DEPTH: Final = 32


def check_json(body: bytes, most: int = VALUES) -> None:
    """Raise InvalidPayload for JSON with more than ``most`` values or too deep a nesting."""
    plain = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    if plain.count(b'"') > 4 * most:  # a name and a value each
        raise _too_many(most)
    structure = b"".join(plain.split(b'"')[::2])
    if sum(map(structure.count, (b",", b"[", b"{"))) > most:
        raise _too_many(most)
    if sum(map(structure.count, (b"]", b"}"))) > most:  # ends without beginnings are no JSON, but take time
        raise _too_many(most)
    if _depth(structure) > DEPTH:
        raise InvalidPayload(f"more than {DEPTH} levels of JSON within each other")


def _depth(structure: bytes) -> int:
    """How deep the brackets are; there are few of them by now."""
    brackets = structure.translate(None, _NO_BRACKETS)
    depth = deepest = 0
    for bracket in brackets:
        depth += 1 if bracket in b"[{" else -1
        deepest = max(deepest, depth)
    return deepest


def _too_many(most: int) -> InvalidPayload:
    return InvalidPayload(f"more than {most:,} JSON values")


_NO_BRACKETS: Final = bytes(byte for byte in range(256) if byte not in b"[]{}")
