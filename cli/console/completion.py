"""Completion of the console's own command line by a shell: endpoints of this host, and the words of commands."""

import time

import typer

from cli.console.arguments import arguments, parted
from eccmgr.errors import EccmgrError

_WAIT_S = 1.0
ENDPOINT = "endpoint"
"""The name in a context's `meta` under which the console's typer application keeps ENDPOINT."""


def complete_word(ctx: typer.Context, incomplete: str) -> list[str]:
    """The words that may stand where ENDPOINT or a word of COMMAND is typed."""
    from eccmgr.control.client.nearby import nearby

    endpoint, typed = ctx.meta.get(ENDPOINT, ""), ctx.params.get("words") or []
    endpoints = [] if endpoint or typed else [str(daemon.endpoint) for daemon in nearby()]
    if parted([incomplete])[0]:
        return endpoints
    return [*endpoints, *_of_command(endpoint, [*typed, incomplete], ctx.obj)]


def _of_command(endpoint: str, typed: list[str], environment: dict[str, str]) -> list[str]:
    """The words that the listener offers. A shell waits for them, so it is asked only where no password is needed."""
    from eccmgr.control.client.session import Client
    from eccmgr.text.words import quote

    try:
        asked = arguments(endpoint, [], environment)
        if asked.route:
            return []
        client = Client(asked.endpoint, asked.server_user)
        try:
            answer = client.ask(f"complete {quote(' '.join(typed))}", time.monotonic() + _WAIT_S)
        finally:
            client.close()
    except EccmgrError:
        return []
    return [word for word in answer.body.split("\n") if word.isprintable()] if answer.exit == 0 else []
