"""What the fuzz tests send, from a seed, so that a run can be repeated."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

from tests.wire import BINARY, CLOSE, PING, PONG, TEXT, frame

NAMESPACES = ("/jobs", "/notifications", "/analytics", "/default", "")
EVENTS = (
    "subscribe-job", "unsubscribe-job", "cancel-job", "subscribe-user", "unsubscribe-user", "mark-read",
    "clear-notifications", "subscribe-brand", "unsubscribe-brand", "connect", "disconnect", "server:hello",
    "job:status-changed", "", "__class__",
)  # fmt: skip
FIELDS = (
    "jobId",
    "userId",
    "brandId",
    "since",
    "epoch",
    "ids",
    "all",
    "token",
    "__proto__",
    "_placeholder",
    "num",
)
ODD = (
    None, True, False, 0, -1, 1.5, 2**53, 2**63, -(2**70), 1e308, "", "a", "ana", "job:a", "../..", "\x00",
    "é", "\ud800", "😀", "x" * 129, "x" * 3_000, "%s%n", "' or 1=1", "NaN", "[]", "\x1e", "a\r\nb: c",
)  # fmt: skip
#: What json.dumps writes for NaN, which is no JSON but which Python reads.
RAW = ("NaN", "Infinity", "-Infinity", "1e400", "-0", "[" * 900, '{"a":' * 900, '"\\ud800"', "1" * 5_000)


def value(rng: random.Random, depth: int = 3) -> Any:
    """Any JSON."""
    kind = rng.randrange(8) if depth else 0
    if kind == 1:
        return [value(rng, depth - 1) for _ in range(rng.randrange(4))]
    if kind in (2, 3):
        return {rng.choice(FIELDS): value(rng, depth - 1) for _ in range(rng.randrange(4))}
    return rng.choice(ODD)


def event(rng: random.Random) -> str:
    """A Socket.IO event that is well formed, with any arguments; a third of them ask for an ack."""
    namespace = rng.choice(NAMESPACES)
    prefix = f"42{namespace}," if namespace else "42"
    ack = str(rng.randrange(10_000)) if rng.randrange(3) == 0 else ""
    arguments = [value(rng) for _ in range(rng.choice((0, 1, 1, 1, 2, 3)))]
    return prefix + ack + json.dumps([rng.choice(EVENTS), *arguments])


def packet(rng: random.Random) -> str:
    """Something like an Engine.IO packet; most are none."""
    kind = rng.randrange(12)
    if kind == 0:
        return event(rng)
    if kind == 1:
        return mangled(rng, event(rng))
    if kind == 2:
        return f"4{rng.randrange(9)}{rng.choice(NAMESPACES)},{rng.choice(RAW)}"
    if kind == 3:
        return f"42{rng.choice(NAMESPACES)},[{json.dumps(rng.choice(EVENTS))},{rng.choice(RAW)}]"
    if kind == 4:
        return f"4{rng.randrange(9)}{json.dumps(value(rng))}"
    if kind == 5:
        return (
            f"45{rng.choice(('', '0', '1', '2', '10', '11', '99999999999'))}-/jobs,{json.dumps(value(rng))}"
        )
    if kind == 6:
        return f"40{rng.choice((*NAMESPACES, '/' + 'n' * 200, '/?a', '/nope'))},{json.dumps(value(rng))}"
    if kind == 7:
        return f"43{rng.choice(NAMESPACES)},{rng.choice(('', '1', '-1', '9' * 120))}{json.dumps(value(rng))}"
    if kind == 8:
        return rng.choice(
            ("", "0", "1", "2", "3", "4", "5", "6", "7", "b", "bAAAA", "b!", "2probe", "41", "44")
        )
    if kind == 9:
        return "4" + rng.choice(("[", "{", '"')) * rng.choice((1, 100, 5_000))
    return "".join(
        chr(rng.choice((rng.randrange(32, 127), rng.randrange(0x2FF)))) for _ in range(rng.randrange(30))
    )


def mangled(rng: random.Random, text: str) -> str:
    """With a piece cut out, doubled or replaced."""
    start = rng.randrange(len(text) + 1)
    end = min(len(text), start + rng.randrange(6))
    return text[:start] + rng.choice(("", text[start:end] * 2, chr(rng.randrange(128)))) + text[end:]


def encodable(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def frames(rng: random.Random) -> bytes:
    """A WebSocket frame, good or bad."""
    kind = rng.randrange(14)
    if kind <= 2:
        return frame(encodable(packet(rng)), TEXT)
    if kind == 3:
        return frame(rng.randbytes(rng.randrange(40)), rng.choice((TEXT, BINARY)))
    if kind == 4:
        return frame(rng.randbytes(rng.randrange(126)), rng.choice((PING, PONG)))
    if kind == 5:
        return frame(rng.randbytes(rng.randrange(4)), CLOSE)
    if kind == 6:
        return frame(rng.randbytes(5), rng.randrange(16), fin=bool(rng.randrange(2)))
    if kind == 7:
        return bytes([rng.randrange(256), rng.randrange(128)]) + rng.randbytes(rng.randrange(20))
    if kind == 8:
        return b"\x81\xff" + rng.randbytes(8) + bytes(4) + b"4" * rng.choice((1, 100, 70_000))
    if kind == 9:
        text = encodable(event(rng))
        cut = rng.randrange(len(text))
        return frame(text[:cut], TEXT, fin=False) + frame(b"p", PING) + frame(text[cut:], 0)
    if kind == 10:
        return frame(encodable(packet(rng)), TEXT)[: rng.randrange(1, 8)]
    if kind == 11:
        return frame("4" + "x" * rng.choice((65_535, 65_536, 70_000)))
    if kind == 12:
        return frame(b"", 0, fin=False) * rng.randrange(50)
    return rng.randbytes(rng.randrange(1, 60))


def tiny_frames(count: int) -> bytes:
    """So many messages of one byte."""
    return frame("6") * count


def body(rng: random.Random) -> bytes:
    """What a polling client might post."""
    kind = rng.randrange(4)
    if kind == 0:
        return b"\x1e".join(encodable(packet(rng)) for _ in range(rng.randrange(1, 40)))
    if kind == 1:
        return rng.randbytes(rng.randrange(200))
    if kind == 2:
        return rng.choice(
            (b"", b"d=", b"d=4", b"d=%", b"\x1e", b"4" * 70_000, b"\x1e" * 2_000, b"1\x1e3\x1e5\x1e42[]")
        )
    return b"\x1e".join([encodable(event(rng))] * rng.randrange(1, 30))


def seeds(start: int, count: int) -> Iterator[random.Random]:
    for seed in range(start, start + count):
        yield random.Random(seed)


def framed_request(rng: random.Random) -> bytes:
    """A request whose length is said in some way, and a body in some other."""
    lengths = ("0", "5", "+5", "5_0", "-1", "", "0x5", "5, 5", "5, 6", "99999999999", "\x0b5", "5 ")
    codings = ("chunked", "Chunked", "identity", "gzip, chunked", "chunked, gzip", "x", "", "chunked;a=b")
    sizes = (b"5", b"0", b"0x5", b"+5", b"-1", b"", b"f" * 16, b"0" * 300 + b"5", b"5;a=b", b" 5", b"5 ")
    ends = (b"\r\n", b"\n", b"\r", b"\r\r\n", b"")
    method, target = rng.choice(("GET", "POST", "post", "X", "")), rng.choice(("/healthz", "*", "a:1", "//"))
    head = [f"{method} {target} HTTP/1.1"]
    head += ["Host: a"] * rng.choice((0, 1, 1, 1, 2))
    for _ in range(rng.randrange(3)):
        head.append(f"Content-Length{rng.choice(('', '', ' '))}: {rng.choice(lengths)}")
    for _ in range(rng.randrange(3)):
        head.append(f"Transfer-Encoding{rng.choice(('', '', ' '))}: {rng.choice(codings)}")
    head += [rng.choice((" folded", "nonsense", "X: a\0b", "X: a\rb", "A_b: c"))] * rng.randrange(2)
    fields = head[1:]
    rng.shuffle(fields)
    end = rng.choice((*ends[:1] * 6, *ends))
    body = b""
    for _ in range(rng.randrange(4)):
        body += rng.choice(sizes) + rng.choice((*ends[:1] * 4, *ends)) + b"hello" + rng.choice(ends)
    return b"".join(line.encode("latin-1") + end for line in [head[0], *fields, ""]) + body
