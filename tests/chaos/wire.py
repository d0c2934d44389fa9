"""As much of WebSocket, Engine.IO and Socket.IO as a client that only listens to jobs needs."""

from __future__ import annotations

import asyncio
import base64
import os
import socket
import struct
from collections.abc import AsyncIterator
from typing import Final

HANDSHAKE_TIMEOUT: Final = 20.0
TEXT, CLOSE, PING, PONG = 0x1, 0x8, 0x9, 0xA


class ConnectionLost(Exception):
    """Raised when the server closed the connection or does not speak the protocol."""


class WebSocket:
    """A client's connection; frames it sends are masked, text messages only."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def connect(cls, port: int, receive_buffer: int = 0, headers: str = "") -> WebSocket:
        """To the Engine.IO endpoint on a loopback port; a small ``receive_buffer`` makes a slow reader.

        ``headers`` are whole lines of the request, each with its line end.
        """
        return await asyncio.wait_for(cls._connect(port, receive_buffer, headers), HANDSHAKE_TIMEOUT)

    @classmethod
    async def _connect(cls, port: int, receive_buffer: int, headers: str) -> WebSocket:
        raw = socket.socket()
        raw.setblocking(False)
        if receive_buffer:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        try:
            await asyncio.get_running_loop().sock_connect(raw, ("127.0.0.1", port))
        except OSError:
            raw.close()
            raise
        made = cls(*await asyncio.open_connection(sock=raw))
        try:
            await made._upgrade(port, headers)
        except BaseException:
            made.abort()
            raise
        return made

    async def _upgrade(self, port: int, headers: str) -> None:
        key = base64.b64encode(os.urandom(16)).decode()
        self._writer.write(
            f"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
            f"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: {key}\r\n{headers}\r\n".encode()
        )
        head = await self._reader.readuntil(b"\r\n\r\n")
        if b" 101 " not in head.split(b"\r\n", 1)[0]:
            raise ConnectionLost(head[:60])

    def send(self, text: str) -> None:
        self._frame(TEXT, text.encode())

    async def drain(self) -> None:
        """Wait until the kernel takes more."""
        await self._writer.drain()

    async def messages(self) -> AsyncIterator[str]:
        """Text messages as they come; Engine.IO's pings are answered here."""
        while True:
            text = await self._message()
            if text == "2":
                self.send("3")
            else:
                yield text

    def abort(self) -> None:
        self._writer.transport.abort()

    async def _message(self) -> str:
        whole = b""
        while True:
            final, opcode, data = await self._read_frame()
            if opcode == CLOSE:
                raise ConnectionLost("closed by the server")
            if opcode == PING:
                self._frame(PONG, data)
            elif opcode != PONG:
                whole += data
                if final:
                    return whole.decode()

    async def _read_frame(self) -> tuple[bool, int, bytes]:
        first, second = await self._reader.readexactly(2)
        length = second & 0x7F
        if length == 126:
            (length,) = struct.unpack(">H", await self._reader.readexactly(2))
        elif length == 127:
            (length,) = struct.unpack(">Q", await self._reader.readexactly(8))
        return bool(first & 0x80), first & 0x0F, await self._reader.readexactly(length)

    def _frame(self, opcode: int, data: bytes) -> None:
        size = len(data)
        head = bytes([0x80 | opcode, 0x80 | (size if size < 126 else 126)])
        if size >= 126:
            head += struct.pack(">H", size)  # a subscription is never longer
        # The mask is for proxies on the way; there are none, and zeros leave the data as it is.
        self._writer.write(head + bytes(4) + data)
