"""One server process: settings in, exit code out."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from typing import Final, TypeVar

from jobcast.errors import InvalidSetting
from jobcast.server.run.application import Application
from jobcast.server.run.log_lines import start_logging
from jobcast.server.run.processes import die_with_parent
from jobcast.server.settings import ServerSettings

logger = logging.getLogger(__name__)

Settings = TypeVar("Settings", bound=ServerSettings)

#: Async modes there is a server for.
MODES: Final = ("eventlet", "gevent", "threading")


def main(
    program: str, read_settings: Callable[[], Settings], create_app: Callable[[Settings], Application]
) -> int:
    """Run until SIGTERM; 1 with one line on standard error, named after ``program``, if it cannot start.

    In the modes of eventlet and gevent everything has to be patched before this module is imported.
    """
    die_with_parent()
    start_logging()
    try:
        settings = _checked(read_settings().require_redis())
        if settings.socketio_async_mode == "eventlet":
            from jobcast.server.run.eventlet_server import prepare
        elif settings.socketio_async_mode == "gevent":
            from jobcast.server.run.gevent_server import prepare
        else:
            from jobcast.server.run.threading_server import prepare
        serve = prepare(settings, lambda: create_app(settings))
    except InvalidSetting as error:
        print(f"{program}: {error}", file=sys.stderr)  # noqa: T201
        return 1
    serve()
    return 0


def _checked(settings: Settings) -> Settings:
    if settings.socketio_async_mode not in MODES:
        raise InvalidSetting("SOCKETIO_ASYNC_MODE", f"this server runs on one of {', '.join(MODES)}")
    if settings.has_key:
        return settings
    if not settings.binds_loopback:
        raise InvalidSetting("HOST", "without SOCKETIO_JWT_KEY only loopback is served")
    logger.warning("no SOCKETIO_JWT_KEY: everybody on this machine may see everything")
    return settings
