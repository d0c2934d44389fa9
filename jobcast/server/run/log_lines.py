"""Log records as lines: what somebody sent cannot begin a line of its own, nor colour a terminal."""

from __future__ import annotations

import logging
import re
from typing import Final

FORMAT: Final = "%(asctime)s %(levelname)s %(name)s %(message)s"
#: Control characters of either set, and Unicode's own ends of lines.
_CONTROL: Final = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")


class OneLine(logging.Formatter):
    """Escapes control characters in messages; a traceback keeps its lines."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # the base class's name
        return _CONTROL.sub(lambda found: repr(found[0])[1:-1], super().formatMessage(record))


def start_logging() -> None:
    """Write to standard error from INFO on."""
    handler = logging.StreamHandler()
    handler.setFormatter(OneLine(FORMAT))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
