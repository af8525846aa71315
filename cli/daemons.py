"""What the command lines of the two daemons share: settings, logging, the run, and the exit code."""

import asyncio
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import structlog

from eccmgr import logs
from eccmgr.daemon import Daemon
from eccmgr.errors import EccmgrError, SettingsError
from eccmgr.settings import DaemonSettings, check_readable, load

S = TypeVar("S", bound=DaemonSettings)
log = structlog.get_logger()


def run(program: str, kind: type[S], flags: dict[str, Any], make: Callable[[S], Daemon]) -> int:
    """Run a daemon in the foreground; the exit code: 0 ended cleanly, 1 failed, 2 the settings make no sense."""
    try:
        settings = load(kind, flags)
        logs.configure(program, settings.verbose)
        if settings.config is not None:
            check_readable(settings.config)
            log.warning("configuration file not applied", path=settings.config, reason="not available yet")
        return asyncio.run(_run(settings, make))
    except SettingsError as error:
        print(f"{program}: {error}", file=sys.stderr)
        return 2
    except EccmgrError as error:
        print(f"{program}: {error}", file=sys.stderr)
        return 1


async def _run(settings: S, make: Callable[[S], Daemon]) -> int:
    try:
        await make(settings).run()
    except* EccmgrError as group:
        raise _first(group) from group
    return 0


def _first(group: BaseExceptionGroup[Any]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
