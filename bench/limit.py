"""``python -m bench.limit``: the limit of fan-out: a frame that is ready, and one ``send()`` per client.

It says just enough of the protocol for a load client and never pings. The loop is C where there is a C
compiler, and otherwise Python's own ``send``, which is one system call as well.
"""

from __future__ import annotations

import ctypes
import os
import re
import select
import shutil
import socket
import subprocess
import tempfile
from array import array
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import hiredis

from bench.client import text_frame
from bench.messages import EVENT, NAMESPACE

#: Sends one frame to these clients.
Broadcast = Callable[["array[int]", bytes], None]

READ_SIZE: Final = 1 << 16
OPEN: Final = '0{"sid":"x","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}'
ANSWERS: Final = {
    b"GET ": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
    + text_frame(OPEN),
    b"40/jobs,": text_frame('40/jobs,{"sid":"x"}'),
}
SUBSCRIBED: Final = text_frame('42/jobs,["subscribed",{"jobId":"j0"}]')
SUBSCRIBE: Final = re.compile(rb'"subscribe-job","([^"]+)"')


def main() -> None:
    host, port = os.environ.get("HOST", "127.0.0.1"), int(os.environ["PORT"])
    listening = socket.create_server((host, port), backlog=4096)
    ear = _listen_to_redis(os.environ["REDIS_URL"])
    clients: dict[int, socket.socket] = {}
    rooms: defaultdict[bytes, array[int]] = defaultdict(lambda: array("i"))
    broadcast = in_c() or in_python(clients)
    reader = hiredis.Reader()
    epoll = select.epoll()
    for waited_for in (listening, ear):
        epoll.register(waited_for, select.EPOLLIN)
    while True:
        for descriptor, _ in epoll.poll():
            if descriptor == listening.fileno():
                client = listening.accept()[0]
                clients[client.fileno()] = client
                epoll.register(client, select.EPOLLIN)
            elif descriptor == ear.fileno():
                reader.feed(ear.recv(READ_SIZE))
                _deliver(reader, rooms, broadcast)
            elif not _answer(clients[descriptor], rooms):
                epoll.unregister(descriptor)
                for room in rooms.values():
                    if descriptor in room:
                        room.remove(descriptor)
                clients.pop(descriptor).close()


def in_c() -> Broadcast | None:
    """The loop in C; None without a compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        return None
    source = Path(__file__).with_name("send_all.c")
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "send_all.so"
        subprocess.run([compiler, "-O2", "-shared", "-fPIC", "-o", library, source], check=True)
        send_all = ctypes.CDLL(str(library)).send_all

    def broadcast(descriptors: array[int], frame: bytes) -> None:
        address, count = descriptors.buffer_info()
        send_all(ctypes.c_void_p(address), count, frame, ctypes.c_size_t(len(frame)))

    return broadcast


def in_python(clients: dict[int, socket.socket]) -> Broadcast:
    """The loop in Python."""

    def broadcast(descriptors: array[int], frame: bytes) -> None:
        for descriptor in descriptors:
            clients[descriptor].sendall(frame)

    return broadcast


def _deliver(reader: hiredis.Reader, rooms: Mapping[bytes, array[int]], broadcast: Broadcast) -> None:
    while (reply := reader.gets()) is not False:
        if reply[0] == b"message":
            room = reply[2].partition(b'"room":"job:')[2].partition(b'"')[0]
            payload = reply[2].partition(b'"data":[')[2].removesuffix(b"]}").decode()
            broadcast(rooms[room], text_frame(f'42{NAMESPACE},["{EVENT}",{payload}]'))


def _answer(client: socket.socket, rooms: Mapping[bytes, array[int]]) -> bool:
    """Answer what a client said; False when it has gone."""
    try:
        said = client.recv(READ_SIZE)
    except ConnectionError:
        return False
    if wanted := SUBSCRIBE.search(said):
        rooms[wanted[1]].append(client.fileno())
        client.sendall(SUBSCRIBED)
    for mark, answer in ANSWERS.items():
        if mark in said:
            client.sendall(answer)
    return bool(said)


def _listen_to_redis(url: str) -> socket.socket:
    parts = urlsplit(url)
    ear = socket.create_connection((parts.hostname or "127.0.0.1", parts.port or 6379))
    ear.sendall(b"SUBSCRIBE flask-socketio\r\n")
    return ear


if __name__ == "__main__":
    main()
