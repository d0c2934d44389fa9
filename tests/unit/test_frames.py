"""WebSocket frames, against wsproto's client side: what it sends we read, what we send it reads."""

from __future__ import annotations

import contextlib
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wsproto.frame_protocol import FrameProtocol, Opcode

from jobcast.server.protocol import frames
from jobcast.server.protocol.frames import BadFrame, Close, Inbound, Ping

LIMIT = 70_000
TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=300)
PIECES = st.one_of(
    st.tuples(st.just("text"), st.lists(TEXTS, min_size=1, max_size=4)),
    st.tuples(st.just("binary"), st.lists(st.binary(max_size=300), min_size=1, max_size=4)),
    st.tuples(st.just("ping"), st.binary(max_size=125)),
)


def theirs() -> FrameProtocol:
    return FrameProtocol(client=True, extensions=[])


def sent(pieces: list) -> tuple[bytes, list]:
    """The bytes of a client that sends these messages in fragments, and what has to be read."""
    client, data, expected = theirs(), b"", []
    for kind, content in pieces:
        if kind == "ping":
            data += client.ping(content)
            expected.append(Ping(content))
            continue
        for number, part in enumerate(content, 1):
            data += client.send_data(part, fin=number == len(content))
        expected.append(type(content[0])().join(content))
    return data, expected


def read(data: bytes, cuts: list[int] = []) -> list:  # noqa: B006  # never changed
    inbound = Inbound(LIMIT)
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    found = []
    for start, end in itertools.pairwise(places):
        found += inbound.feed(data[start:end])
    assert inbound.is_clean
    return found


@given(st.lists(PIECES, max_size=6), st.lists(st.integers(0), max_size=20))
def test_every_split_of_the_bytes_gives_the_same_messages(pieces, cuts):
    """Fragmented and coalesced, at any place."""
    data, expected = sent(pieces)
    assert read(data, cuts) == expected


@given(st.lists(PIECES, max_size=4))
def test_one_byte_at_a_time_gives_the_same_messages(pieces):
    """And nothing is clean before its last byte."""
    inbound = Inbound(LIMIT)
    for piece in pieces:
        assert inbound.is_clean
        data, expected = sent([piece])
        for byte in data[:-1]:
            assert not list(inbound.feed(bytes([byte])))
            assert not inbound.is_clean
        assert list(inbound.feed(data[-1:])) == expected
    assert inbound.is_clean


def test_a_long_message_of_single_bytes_is_read():
    """Its parts are put together on the way; there is no limit to their number."""
    data, expected = sent([("text", ["é" * 30_000])])
    inbound, found = Inbound(LIMIT), []
    for place in range(len(data)):
        found += inbound.feed(data[place : place + 1])
        assert len(inbound._parts) <= frames.PARTS + 1
    assert found == expected


def test_pings_and_a_close_inside_a_fragmented_message_are_read_at_once():
    """The message goes on after a ping; it never ends after a close."""
    client = theirs()
    data = client.send_data("a", fin=False) + client.ping(b"p") + client.send_data("b", fin=True)
    assert read(data) == [Ping(b"p"), "ab"]
    inbound = Inbound(LIMIT)
    data = client.send_data("a", fin=False) + client.close(1001, "going")
    assert list(inbound.feed(data)) == [Close(1001)]


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536, 65_537])
def test_what_we_send_is_what_they_read(size):
    """Text and binary, at every length of the header."""
    client = theirs()
    client.receive_bytes(frames.text_frame(b"x" * size) + frames.binary_frame(b"y" * size))
    client.receive_bytes(frames.pong_frame(b"pong") + frames.close_frame(1009))
    found = [(f.opcode, f.payload, f.message_finished) for f in client.received_frames()]
    assert found[-2:] == [(Opcode.PONG, b"pong", True), (Opcode.CLOSE, (1009, ""), True)]
    whole: dict = {Opcode.TEXT: "", Opcode.BINARY: b""}
    for opcode, payload, _ in found[:-2]:
        whole[opcode] += payload
    assert whole == {Opcode.TEXT: "x" * size, Opcode.BINARY: b"y" * size}


def masked(first: int, payload: bytes, length: bytes | None = None) -> bytes:
    return bytes([first]) + (length or bytes([0x80 | len(payload)])) + bytes(4) + payload


VIOLATIONS = {
    "unmasked": (b"\x81\x01x", 1002),
    "a reserved bit": (masked(0xC1, b"x"), 1002),
    "an unknown opcode": (masked(0x83, b"x"), 1002),
    "an unknown control opcode": (masked(0x8B, b""), 1002),
    "a fragmented ping": (masked(0x09, b"x"), 1002),
    "a long ping": (masked(0x89, b"x" * 126, b"\xfe\x00\x7e"), 1002),
    "a continuation of nothing": (masked(0x80, b"x"), 1002),
    "a message within a message": (masked(0x01, b"x") + masked(0x81, b"y"), 1002),
    "a length written too long": (masked(0x81, b"x", b"\xfe\x00\x01"), 1002),
    "a length with the highest bit": (b"\x81\xff" + b"\xff" * 8 + bytes(4), 1002),
    "bad UTF-8": (masked(0x81, b"\xff"), 1007),
    "UTF-8 that breaks off": (masked(0x81, b"\xc3"), 1007),
    "a surrogate in UTF-8": (masked(0x81, b"\xed\xa0\x80"), 1007),
    "bad UTF-8 in the second fragment": (masked(0x01, b"x") + masked(0x80, b"\xff"), 1007),
    "a close with half a code": (masked(0x88, b"\x03"), 1002),
    "a close with a forbidden code": (masked(0x88, b"\x03\xed"), 1002),
    "a close with a code out of range": (masked(0x88, b"\xff\xff"), 1002),
    "a close with a bad reason": (masked(0x88, b"\x03\xe8\xff"), 1007),
    "a frame that is too big": (b"\x81\xff" + (2**40).to_bytes(8, "big") + bytes(4) + b"x" * 101, 1009),
    "fragments that are too big": (masked(0x01, b"x" * 60) + masked(0x80, b"x" * 60), 1009),
}


def feed_all(inbound: Inbound, pieces: list[bytes]) -> list:
    return [message for piece in pieces for message in inbound.feed(piece)]


@pytest.mark.parametrize("name", VIOLATIONS)
def test_every_violation_is_refused_with_its_code(name):
    """In one piece or byte by byte; RFC 6455, section 7.4."""
    data, code = VIOLATIONS[name]
    for step in (len(data), 1):
        with pytest.raises(BadFrame) as refused:
            fed(data, step)
        assert refused.value.code == code


def fed(data: bytes, step: int) -> list:
    """What a parser for small messages makes of these bytes, so many at a time."""
    inbound = Inbound(100)
    pieces = (data[place : place + step] for place in range(0, len(data), step))
    return [message for piece in pieces for message in inbound.feed(piece)]


@given(st.binary(max_size=400))
def test_no_bytes_raise_anything_but_a_bad_frame(data):
    """Whatever it is."""
    with contextlib.suppress(BadFrame):
        assert all(isinstance(message, str | bytes | int) for message in fed(data, len(data) or 1))


def test_a_message_of_exactly_the_limit_passes():
    """One more does not."""
    assert list(Inbound(50).feed(masked(0x81, b"x" * 50))) == ["x" * 50]
    with pytest.raises(BadFrame):
        list(Inbound(50).feed(masked(0x81, b"x" * 51)))


def test_a_message_is_measured_in_bytes_not_in_letters():
    """As on the stock path, whose parser counts before it decodes."""
    assert list(Inbound(52).feed(masked(0x81, ("é" * 26).encode()))) == ["é" * 26]
    with pytest.raises(BadFrame):
        list(Inbound(51).feed(masked(0x81, ("é" * 26).encode())))
