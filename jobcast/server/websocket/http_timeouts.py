"""HTTP as eventlet's server speaks it, with an end to its patience for a request's first lines.

eventlet counts the time of each read, so that a byte now and then keeps a connection for ever.
"""

from __future__ import annotations

from typing import Any

import eventlet
from eventlet.wsgi import HttpProtocol


def protocol_with_timeouts(patience: float, idle: float) -> type[HttpProtocol]:
    """Seconds for a head that has begun, and for the next request line on a connection that is kept."""

    class PatientProtocol(HttpProtocol):  # type: ignore[misc]
        _is_first = True

        def _read_request_line(self) -> Any:
            seconds, self._is_first = (patience if self._is_first else idle), False
            with eventlet.Timeout(seconds, TimeoutError("no request line")):
                return super()._read_request_line()

        def parse_request(self) -> Any:
            with eventlet.Timeout(patience, TimeoutError("no end of the head")):
                return super().parse_request()

    return PatientProtocol
