"""What the operator asks of the console: `ec_console [OPTIONS] [ENDPOINT] [OPTIONS] [COMMAND …]`.

A call without an option, as scripts and monitoring send it, is read here at once. Every other call is read by the
typer application in `options.py`, which takes longer to import than such a call takes in all.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from cli.terminal import has_colors
from eccmgr.control.endpoint import DEFAULT_ENDPOINT, Endpoint
from eccmgr.control.socket_trust import SERVER_USER
from eccmgr.errors import SettingsError, UsageError
from eccmgr.text.words import join

PROGRAM = "ec_console"
COMPLETION = "_EC_CONSOLE_COMPLETE"
"""The variable by which a shell asks for completions, as typer names it."""
TIMEOUT_S = 3600.0

_OFF = ("", "0", "false", "no", "off")
_ENDPOINT = re.compile(r"(?:/|\./|\.\./|ssh://|tls://)|(?:[^\s@]+@)?(?:[^\s/:@\[\]]+|\[[^\]\s]+\]):\d+\Z")
_ROUTE = re.compile(r"(ssh|tls)://|[^/]*@")


class ListenerPlace(NamedTuple):
    """Where a daemon listens; `route` is the endpoint as it was written, if a connection there takes more than a
    socket."""

    endpoint: Endpoint
    route: str = ""


@dataclass(frozen=True)
class Arguments:
    """The arguments of the console; `command` is None without a command."""

    endpoint: Endpoint
    route: str = ""
    """The endpoint as it was written, if a connection there takes more than a socket."""
    files: Mapping[str, str] = field(default_factory=dict)
    """The files for TLS: `ca`, `certificate` and `key`."""
    others: tuple[ListenerPlace, ...] = ()
    """Where other managers of the same cluster listen."""
    named: bool = True
    """Whether the user named the endpoint."""
    command: str | None = None
    fold: bool = False
    diff: bool = False
    progress: bool = True
    json: bool = False
    color: bool = True
    timeout_s: float = TIMEOUT_S
    server_user: str = SERVER_USER
    read_only: bool = False
    """Whether to send nothing that may change something."""


def parse(words: Sequence[str], environment: Mapping[str, str]) -> Arguments:
    """Read the command line. Raises UsageError with one line that says what was wrong, and SystemExit after `--help`
    and its kin."""
    endpoint, command = parted(words)
    if not any(begins_option(rest) for rest in (words, command)) and COMPLETION not in environment:
        return arguments(endpoint, command, environment)
    from cli.console.options import parse_options

    return parse_options(words, environment)


def parted(words: Sequence[str]) -> tuple[str, list[str]]:
    """ENDPOINT, which is empty if the first word begins the COMMAND, and the words behind it."""
    if words and _ENDPOINT.match(words[0]):
        return words[0], list(words[1:])
    return "", list(words)


def begins_option(words: Sequence[str]) -> bool:
    """Whether the first word is an option, or ends them (`--`)."""
    return bool(words) and words[0].startswith("-") and words[0] != "-"


def arguments(endpoint: str, command: list[str], environment: Mapping[str, str], **options: Any) -> Arguments:
    """What is asked by these words, by the environment, and by `options`, which are named as in `Arguments`.

    Raises UsageError.
    """
    options["color"] = options.get("color", True) and has_colors(environment)
    read_only = environment.get("EC_CONSOLE_READ_ONLY", "").lower() not in _OFF
    options["read_only"] = options.get("read_only", False) or read_only
    named = [endpoint] if endpoint else environment.get("EC_CONSOLE_ENDPOINT", "").replace(",", " ").split()
    first, *others = map(_place, named or [DEFAULT_ENDPOINT])
    return Arguments(
        endpoint=first.endpoint,
        route=first.route,
        others=tuple(others),
        named=bool(named),
        command=join(command) if command else None,
        server_user=environment.get("EC_CONSOLE_SERVER_USER") or SERVER_USER,
        **options,
    )


def _place(written: str) -> ListenerPlace:
    return ListenerPlace(_end_of(written), written) if _ROUTE.match(written) else ListenerPlace(_endpoint(written))


def _endpoint(text: str) -> Endpoint:
    try:
        return Endpoint.parse(text)
    except SettingsError as error:
        raise UsageError(str(error)) from None


def _end_of(text: str) -> Endpoint:
    """The endpoint at the end of a route."""
    from eccmgr.control.client.dialing import Route

    try:
        return Route.parse(text).endpoint
    except SettingsError as error:
        raise UsageError(str(error)) from None
