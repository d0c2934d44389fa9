"""Clients made of bytes: Engine.IO over a plain socket and over plain HTTP, for tests of the wire itself."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from tests.stack import Answer, Stack, http

TARGET = "/socket.io/?EIO=4&transport=websocket"
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


def opening(target: str = TARGET, *, method: str = "GET", **headers: str) -> bytes:
    """The head of an opening request; further headers by name."""
    lines = [
        f"{method} {target} HTTP/1.1",
        "Host: 127.0.0.1",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def frame(payload: str | bytes, opcode: int | None = None, *, fin: bool = True) -> bytes:
    """A client's frame, masked with zeros."""
    data = payload.encode() if isinstance(payload, str) else payload
    if opcode is None:
        opcode = TEXT if isinstance(payload, str) else BINARY
    first = bytes([opcode | (0x80 if fin else 0)])
    if len(data) < 126:
        return first + bytes([0x80 | len(data)]) + bytes(4) + data
    if len(data) < 65_536:
        return first + b"\xfe" + len(data).to_bytes(2, "big") + bytes(4) + data
    return first + b"\xff" + len(data).to_bytes(8, "big") + bytes(4) + data


class Closed(Exception):
    """Raised when the other side has ended the connection; ``code`` is of its close frame, if it sent one."""

    def __init__(self, code: int | None) -> None:
        super().__init__(f"closed with {code}")
        self.code = code


class Wire:
    """A WebSocket client that does nothing by itself; pings of Engine.IO are answered where it reads."""

    #: Every one of them, for a fixture to close.
    opened: ClassVar[list[Wire]] = []

    def __init__(self, port: int, *, buffer: int | None = None, timeout: float = 10) -> None:
        self.tcp = socket.socket()
        if buffer:
            self.tcp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        self.tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.tcp.settimeout(timeout)
        self.tcp.connect(("127.0.0.1", port))
        self.buffer = b""
        self.at_once = 65_536
        self.hello: dict[str, Any] = {}
        self.opened.append(self)

    def open(self, target: str = TARGET, after: bytes = b"") -> Wire:
        """Shake hands, with some bytes in the same segment, and read Engine.IO's OPEN."""
        self.tcp.sendall(opening(target) + after)
        assert self.head().startswith("HTTP/1.1 101 ")
        if "sid=" not in target:
            packet = self.read()
            assert packet[0] == "0"
            self.hello = json.loads(packet[1:])
        return self

    def join(self, *namespaces: str) -> Wire:
        """Connect to namespaces."""
        for namespace in namespaces:
            self.send(f"40{namespace},")
            self.wait_for(f"40{namespace},")
        return self

    def send(self, text: str | bytes) -> None:
        self.tcp.sendall(frame(text))

    def call(self, namespace: str, *event: Any) -> Any:
        """Emit and return the ack; other messages meanwhile are dropped."""
        self.send(f"42{namespace},7{json.dumps(event)}")
        return json.loads(self.wait_for(f"43{namespace},7")[len(namespace) + 4 :])[0]

    def head(self) -> str:
        """The head of an HTTP answer."""
        while b"\r\n\r\n" not in self.buffer:
            self._more()
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        return head.decode()

    def read(self) -> Any:
        """The next message; raise Closed."""
        while True:
            opcode, payload = self.read_frame()
            if opcode == CLOSE:
                raise Closed(int.from_bytes(payload[:2], "big"))
            if opcode == BINARY:
                return payload
            if opcode == TEXT and payload == b"2":
                self.send("3")
            elif opcode == TEXT:
                return payload.decode()

    def read_frame(self) -> tuple[int, bytes]:
        """Opcode and payload of the next frame; the server does not fragment."""
        first, second = self._take(2)
        assert first & 0x80
        size = second & 0x7F
        if size >= 126:
            size = int.from_bytes(self._take(2 if size == 126 else 8), "big")
        return first & 0xF, self._take(size)

    def wait_for(self, start: str) -> str:
        """The next message that begins so; what comes before is dropped."""
        while True:
            found = self.read()
            if isinstance(found, str) and found.startswith(start):
                return found

    def until_closed(self) -> int | None:
        """Read to the end; the code of the close frame, None without one."""
        try:
            while True:
                self.read()
        except Closed as closed:
            return closed.code
        except ConnectionResetError:
            return None

    def close(self) -> None:
        self.tcp.close()

    def _take(self, size: int) -> bytes:
        while len(self.buffer) < size:
            self._more()
        taken, self.buffer = self.buffer[:size], self.buffer[size:]
        return taken

    def _more(self) -> None:
        received = self.tcp.recv(self.at_once)
        if not received:
            raise Closed(None)
        self.buffer += received


@contextmanager
def wire(stack: Stack, *namespaces: str, **options: Any) -> Iterator[Wire]:
    """A client that is connected."""
    client = Wire(stack.port, **options)
    try:
        yield client.open().join(*namespaces)
    finally:
        client.close()


class Polling:
    """A long-polling session."""

    def __init__(self, stack: Stack) -> None:
        self.base = f"{stack.url}/socket.io/?EIO=4&transport=polling"
        answer = http("GET", self.base)
        assert answer.status == 200
        self.hello = json.loads(answer.text[1:])
        self.sid = self.hello["sid"]

    def get(self, timeout: float = 30) -> Answer:
        return http("GET", f"{self.base}&sid={self.sid}", timeout=timeout)

    def post(self, *packets: str | bytes) -> Answer:
        """Packets as text, or a body as bytes."""
        body = packets[0] if isinstance(packets[0], bytes) else "\x1e".join(map(str, packets)).encode()
        return http("POST", f"{self.base}&sid={self.sid}", body, headers={"Content-Type": "text/plain"})

    def join(self, *namespaces: str) -> Polling:
        for namespace in namespaces:
            assert self.post(f"40{namespace},").text == "OK"
            self.wait_for(f"40{namespace},")
        return self

    def read(self) -> list[str]:
        """What one poll brings."""
        answer = self.get()
        assert answer.status == 200, answer
        return answer.text.split("\x1e")

    def wait_for(self, start: str, seconds: float = 10) -> str:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for packet in self.read():
                if packet.startswith(start):
                    return packet
        raise AssertionError(f"no {start}")


def metric(stack: Stack, name: str) -> float:
    """One figure of /metrics."""
    for line in stack.get("/metrics").text.splitlines():
        if line.startswith((f"jobcast_{name} ", f"jobcast_{name}_total ")):
            return float(line.split()[1])
    raise AssertionError(f"no metric {name}")
