"""The health check of a container: whether the daemons of this host or container answer."""

import time
from collections.abc import Callable, Sequence

import typer

from eccmgr.control.client import Client
from eccmgr.control.nearby import Nearby, nearby
from eccmgr.errors import EccmgrError

_TIMEOUT_S = 5.0


def is_healthy(find: Callable[[], Sequence[Nearby]] = nearby, timeout_s: float = _TIMEOUT_S) -> bool:
    """Print a line for each daemon; answers whether there are daemons and all answer within `timeout_s`."""
    problems = [(daemon, _problem(daemon, timeout_s)) for daemon in find()]
    for daemon, problem in problems:
        typer.echo(f"{daemon.program} at {daemon.endpoint}: {problem or 'answers'}")
    if not problems:
        typer.echo("No eccmgr or ecnode is seen to listen here; ask one by its endpoint: ec_console ENDPOINT version")
    return bool(problems) and not any(problem for _, problem in problems)


def _problem(daemon: Nearby, timeout_s: float) -> str:
    """The reason why it does not answer; '' if it does."""
    # This asks only for the version, so any user may serve the socket.
    client = Client(daemon.endpoint, server_user=None)
    try:
        client.ask("version", time.monotonic() + timeout_s)
    except EccmgrError as error:
        return str(error)
    finally:
        client.close()
    return ""
