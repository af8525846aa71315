"""What the command lines of the two daemons share: settings, logging, the run, and the exit code."""

import asyncio
import resource
from collections.abc import Callable
from typing import Any, TypeVar

import structlog
import typer

from eccmgr import logs
from eccmgr.daemon import Daemon
from eccmgr.errors import EccmgrError, SettingsError
from eccmgr.redis.scripts import load_all
from eccmgr.settings import DaemonSettings, check_readable, load

S = TypeVar("S", bound=DaemonSettings)
log = structlog.get_logger()

_DESCRIPTORS = 65_536


def run(program: str, kind: type[S], flags: dict[str, Any], make: Callable[[S], Daemon]) -> int:
    """Run a daemon in the foreground; the exit code: 0 ended cleanly, 1 failed, 2 the settings make no sense."""
    try:
        settings = load(kind, flags)
        logs.configure(program, settings.verbose)
        if settings.config is not None:
            check_readable(settings.config)
            log.warning("configuration file not applied", path=settings.config, reason="not available yet")
        load_all()
        _raise_descriptor_limit()
        asyncio.run(_run(make(settings)))
    except SettingsError as error:
        typer.echo(f"{program}: {error}", err=True)
        return 2
    except EccmgrError as error:
        typer.echo(f"{program}: {error}", err=True)
        return 1
    return 0


def _raise_descriptor_limit() -> None:
    """Room for many connections; the usual soft limit of 1,024 is meant for programs that use select()."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(_DESCRIPTORS, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


async def _run(daemon: Daemon) -> None:
    try:
        await daemon.run()
    except* EccmgrError as group:
        raise _first(group) from group


def _first(group: BaseExceptionGroup[Any]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
