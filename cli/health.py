"""The health check of a container: whether the daemons of this host or container answer."""

import os
import time
from collections.abc import Callable, Sequence

import typer

from eccmgr.control.client.nearby import Nearby, nearby
from eccmgr.control.client.session import Client
from eccmgr.control.socket_trust import SERVER_USER
from eccmgr.errors import EccmgrError, UntrustedServer
from eccmgr.text.unseen import visible_line

_TIMEOUT_S = 5.0


def _find(server_user: str) -> list[Nearby]:
    return nearby(server_user=server_user)


def is_healthy(find: Callable[[str], Sequence[Nearby]] = _find, timeout_s: float = _TIMEOUT_S) -> bool:
    """Print a line for each daemon; answers whether there are daemons and all answer within `timeout_s`.

    A socket that a stranger serves is named, but neither asked nor counted.
    """
    server_user = os.environ.get("EC_CONSOLE_SERVER_USER") or SERVER_USER
    problems: list[str] = []
    for daemon in find(server_user):
        where = f"{daemon.program} at {daemon.endpoint}"
        try:
            problem = _problem(daemon, server_user, timeout_s)
        except UntrustedServer as error:
            typer.echo(visible_line(f"{where}: not asked: {error}"))
            continue
        problems.append(problem)
        typer.echo(visible_line(f"{where}: {problem or 'answers'}"))
    if not problems:
        typer.echo("No eccmgr or ecnode is seen to listen here; ask one by its endpoint: ec_console ENDPOINT version")
    return bool(problems) and not any(problems)


def _problem(daemon: Nearby, server_user: str, timeout_s: float) -> str:
    """The reason why it does not answer; '' if it does. Raises UntrustedServer."""
    client = Client(daemon.endpoint, server_user)
    try:
        client.ask("version", time.monotonic() + timeout_s)
    except UntrustedServer:
        raise
    except EccmgrError as error:
        return str(error)
    finally:
        client.close()
    return ""
