"""A TCP proxy between clients and one web process, whose network can be cut or held up."""

from __future__ import annotations

import asyncio
import threading
from typing import Final

from jobcast.embedded import free_port

CHUNK: Final = 64 * 1024
Writers = tuple[asyncio.StreamWriter, asyncio.StreamWriter]


class Network:
    """A thread with an event loop in which proxies live."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._proxies: list[Proxy] = []
        self._thread = threading.Thread(target=self.loop.run_forever, name="chaos-network", daemon=True)
        self._thread.start()

    def proxy(self, upstream: int) -> Proxy:
        """A proxy in front of a loopback port, listening on a port of its own."""
        made = Proxy(upstream)
        asyncio.run_coroutine_threadsafe(made.start(), self.loop).result(5)
        self._proxies.append(made)
        return made

    def call(self, function: object, *args: object) -> None:
        """Run in the loop's thread."""
        self.loop.call_soon_threadsafe(function, *args)  # type: ignore[arg-type]

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self._close_all(), self.loop).result(5)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(5)
        self.loop.close()

    async def _close_all(self) -> None:
        for proxy in self._proxies:
            proxy.close()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0.05)  # transports close in the loop's next scheduler


class Proxy:
    """``cut`` resets every connection and refuses new ones; ``hang`` lets nothing through."""

    def __init__(self, upstream: int) -> None:
        self.port = free_port()
        self._upstream = upstream
        self._is_cut = False
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._open: set[Writers] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, backlog=1024)

    def close(self) -> None:
        """Listen no more and reset what is open."""
        self.cut()
        if self._server is not None:
            self._server.close()

    def cut(self) -> None:
        self._is_cut = True
        for pair in list(self._open):
            _abort(pair)

    def hang(self) -> None:
        self._flowing.clear()

    def mend(self) -> None:
        self._is_cut = False
        self._flowing.set()

    def lead_to(self, upstream: int) -> None:
        """Where new connections go; those that are open stay with the one they have."""
        self._upstream = upstream

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_cut:
            writer.transport.abort()
            return
        try:
            upstream, back = await asyncio.open_connection("127.0.0.1", self._upstream)
        except OSError:
            writer.transport.abort()
            return
        await self._join((reader, back), (upstream, writer))

    async def _join(
        self,
        there: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        back: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        pair = (there[1], back[1])
        self._open.add(pair)
        try:
            await asyncio.gather(self._pump(*there), self._pump(*back))
        finally:
            self._open.discard(pair)
            _abort(pair)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(CHUNK):
                await self._flowing.wait()
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()


def _abort(pair: Writers) -> None:
    for writer in pair:
        writer.transport.abort()
