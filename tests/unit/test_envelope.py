"""The message on the channel."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from jobcast import envelope
from jobcast.topics import job_topic

HEAD = envelope.head(job_topic("j1"), "job:status-changed")


def test_a_stock_server_can_read_our_envelope():
    """It is python-socketio's own emit envelope."""
    message = json.loads(envelope.seal(HEAD, True, '{"a":1}'))
    assert message["method"] == "emit"
    assert message["namespace"] == "/jobs"
    assert message["room"] == "job:j1"
    assert message["event"] == "job:status-changed"
    assert message["data"] == [{"a": 1}]
    assert message["binary"] is False
    assert message["skip_sid"] is None
    assert message["callback"] is None


def test_our_own_envelope_is_cut_without_decoding():
    """Room and payload come out of the text as they went in."""
    message = envelope.seal(HEAD, False, '{"sequence":3,"epoch":"e","x":"]}"}').encode()
    payload = b'{"sequence":3,"epoch":"e","x":"]}"}'
    assert envelope.cut(message) == envelope.Cut(
        b"/jobs", "job:j1", b"job:status-changed", False, payload, 3, "e"
    )


def test_the_position_stands_at_the_start_of_a_payload():
    """Sequence and epoch are read without decoding either."""
    assert envelope.position(b'{"sequence":3,"epoch":"e","x":1}') == (3, "e")
    assert envelope.position(b'{"x":1,"sequence":3,"epoch":"e"}') is None
    assert envelope.position(b'{"sequence":-3,"epoch":"e"}') is None


OURS = envelope.seal(HEAD, True, '{"sequence":1,"epoch":"e"}').encode()


PLACES = st.integers(0, len(OURS))


@given(st.binary() | st.builds(lambda a, b, c: OURS[:a] + b + OURS[c:], PLACES, st.binary(), PLACES))
def test_anything_else_on_the_channel_is_left_to_the_stock_path(message):
    """Never an exception; and what is taken for ours is UTF-8, and no quote breaks out of it."""
    if cut := envelope.cut(message):
        assert message.decode()
        assert b'"' not in cut.event


@given(
    st.dictionaries(st.text().filter(lambda key: key not in ("sequence", "epoch")), st.text()), st.booleans()
)
def test_every_payload_survives_seal_and_cut(payload, merge):
    """The payload is opaque to the envelope."""
    text = json.dumps({"sequence": 7, "epoch": "e"} | payload, separators=(",", ":"))
    cut = envelope.cut(envelope.seal(HEAD, merge, text).encode())
    assert cut is not None
    assert (cut.merge, cut.payload.decode()) == (merge, text)
