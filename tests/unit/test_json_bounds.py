"""How much may be in a body, counted before it is parsed."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobcast.errors import InvalidPayload
from jobcast.flask.json_bounds import DEPTH, check_json

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text('a,"\\[{}]:\n'),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text('x,"\\{'), inner, max_size=4),
    max_leaves=20,
)


def size_of(value: object) -> int:
    """Commas and opening brackets outside of strings."""
    if isinstance(value, dict | list):
        inner = value.values() if isinstance(value, dict) else value
        return 1 + max(0, len(value) - 1) + sum(map(size_of, inner))
    return 0


@given(values)
def test_what_is_in_strings_does_not_count(value):
    """Whatever quotes, brackets and commas there are in them."""
    body = json.dumps(value).encode()
    size = size_of(value)
    check_json(body, max(size, body.count(b'"')))
    if size:
        with pytest.raises(InvalidPayload):
            check_json(body, size - 1)


@pytest.mark.parametrize("bracket", [b"[", b'{"a":'])
def test_nesting_has_an_end(bracket):
    """As deep as anybody needs."""
    check_json(bracket * DEPTH, 1_000)
    with pytest.raises(InvalidPayload, match="levels"):
        check_json(bracket * (DEPTH + 1), 1_000)


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":1' + b',"b":1' * 1_000_000 + b"}",
        b"[" * 8_000_000,
        b"]" * 8_000_000,
        b"}" * 8_000_000,
        b"1," * 6_000_000,
    ],
)
def test_a_million_fields_are_refused_in_no_time(body):
    """Twelve seconds if they were looked at; here a tenth of one, on a busy machine."""
    began = time.process_time()
    with pytest.raises(InvalidPayload, match="more than"):
        check_json(body)
    assert time.process_time() - began < 0.5
