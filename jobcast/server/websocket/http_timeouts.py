"""HTTP as eventlet's server speaks it, within bounds: strict about framing, patient only for a while, paced.

eventlet counts the time of each read, so that a byte now and then keeps a connection for ever; and it goes
on answering one connection for as long as its requests lie there, without looking at anybody else.
"""

from __future__ import annotations

import io
import re
import time
from http import HTTPStatus
from typing import Any, Final

import eventlet
from eventlet.wsgi import STATE_CLOSE, ChunkReadError, HttpProtocol

from jobcast.server import audit
from jobcast.server.websocket.http_body import BoundedInput
from jobcast.server.websocket.http_head import BadHead, check_head

#: Requests of one connection in a second, and how many may come at once on top. A proxy's connection is many
#: people's, and opens another one beside it when this one is slow.
REQUESTS_PER_SECOND: Final = 50
REQUEST_BURST: Final = 100
#: Requests that had to wait for their turn after which a connection is closed.
REQUESTS_OVER_LIMIT: Final = 200

_ABSOLUTE: Final = re.compile(r"https?://[^/?#]*", re.IGNORECASE)


def protocol_with_timeouts(patience: float, idle: float) -> type[HttpProtocol]:
    """Seconds for a head that has begun, and for the next request line on a connection that is kept."""

    class BoundedProtocol(HttpProtocol):  # type: ignore[misc]
        path: str
        _is_first = True
        #: Until when this connection's requests are paid for, and how many had to wait.
        _paid_until = 0.0
        _waited = 0

        def handle_one_request(self) -> None:
            self._wait_for_turn()
            super().handle_one_request()

        def _wait_for_turn(self) -> None:
            now = time.monotonic()
            self._paid_until = max(self._paid_until, now) + 1 / REQUESTS_PER_SECOND
            ahead = self._paid_until - now - REQUEST_BURST / REQUESTS_PER_SECOND
            self._waited += ahead > 0
            eventlet.sleep(max(0.0, ahead))

        def _read_request_line(self) -> Any:
            seconds, self._is_first = (patience if self._is_first else idle), False
            with eventlet.Timeout(seconds, TimeoutError("no request line")):
                return super()._read_request_line()

        def parse_request(self) -> Any:
            with eventlet.Timeout(patience, TimeoutError("no end of the head")):
                lines = [self.raw_requestline, *self._header_lines()]
            try:
                check_head(lines)
            except BadHead as error:
                return self._refuse(error.status, str(error))
            self.rfile = io.BytesIO(b"".join(lines[1:]))
            if not super().parse_request():
                return False
            self.path = _ABSOLUTE.sub("", self.path, count=1) or "/"
            if self._waited >= REQUESTS_OVER_LIMIT:
                audit.note("limit", {"REMOTE_ADDR": self.get_client_address()[0]}, code="rate-limited")
                self.close_connection = True
            return True

        def _header_lines(self) -> list[bytes]:
            lines: list[bytes] = []
            while not lines or lines[-1] not in (b"\r\n", b"\n", b""):
                lines.append(self.rfile.readline())
            return lines

        def _refuse(self, status: int, why: str) -> bool:
            """Answer and close; nobody can tell where the next request would begin."""
            phrase = HTTPStatus(status).phrase
            body = f"{phrase}: {why}\n".encode()
            self.wfile.write(
                f"HTTP/1.1 {status} {phrase}\r\nConnection: close\r\nContent-Type: text/plain\r\n"
                f"Content-Length: {len(body)}\r\n\r\n".encode()
                + body
            )
            self.close_connection = True
            self.conn_state[2] = STATE_CLOSE
            return False

        def get_environ(self) -> Any:
            environ = super().get_environ()
            body = BoundedInput(environ["eventlet.input"], patience)
            environ["wsgi.input"] = environ["eventlet.input"] = body
            if body.chunked_input:
                environ["wsgi.input_terminated"] = True
            return environ

        def handle_one_response(self) -> None:
            try:
                self.environ["eventlet.input"].prefetch()
            except (ChunkReadError, TimeoutError) as error:
                self._refuse(400, str(error))
                return
            super().handle_one_response()

    return BoundedProtocol
