"""The console's command line: `ec_console [OPTIONS] [ENDPOINT] [OPTIONS] [COMMAND …]`.

It is parsed by hand, for two reasons: the options end at the first word of the command, which no common parser can do,
and a library for command lines would take longer than everything else in a batch call.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from eccmgr.control.endpoint import DEFAULT_ENDPOINT, Endpoint
from eccmgr.control.socket_trust import SERVER_USER
from eccmgr.errors import SettingsError, UsageError
from eccmgr.text.words import join

USAGE = "ec_console [OPTIONS] [ENDPOINT] [OPTIONS] [COMMAND …]"
HELP = f"""Usage: {USAGE}

Runs COMMAND on the manager or node that listens at ENDPOINT and prints its answer. Without a COMMAND: a prompt
on a terminal, else the lines of standard input one by one.

ENDPOINT is /PATH or [USER@]HOST:PORT, with tls:// before it for TLS, or ssh://OSUSER@HOST/[USER@]HOST:PORT through
SSH; by default $EC_CONSOLE_ENDPOINT, else {DEFAULT_ENDPOINT}. USER signs in; the password is in the file
$ECCMGR_PASSWORD_FILE, else it is asked for.
A socket in a folder where everybody may write, as in /tmp, must be served by root, by you, or by
$EC_CONSOLE_SERVER_USER (by default {SERVER_USER}).

Options:
  -b, --fold         show identical answers once, under the nodes that gave them
  --json             show each answer as a JSON object
  --timeout SECONDS  give up after so long, all in all (default 3600)
  --ca FILE          trust this authority for tls://, not the system's
  --cert, --key FILE the certificate for tls:// that says who you are, and its key
  --no-color         no colours on a terminal (as NO_COLOR in the environment)
  -V, --version      print the version
  -h, --help         print this

Exit codes: 0 all well, 1 refused or failed, 2 usage, 3 some nodes did not answer or answered with an error,
4 cannot connect, 5 authentication or authorization failed."""

_ENDPOINT = re.compile(r"(?:/|\./|\.\./|ssh://|tls://)|(?:[^\s@]+@)?(?:[^\s/:@\[\]]+|\[[^\]\s]+\]):\d+\Z")
_ROUTE = re.compile(r"(ssh|tls)://|[^/]*@")
_FILES = {"--ca": "ca", "--cert": "certificate", "--key": "key"}
_TIMEOUT_S = 3600.0
_TIMEOUT_MAX_S = 7 * 86400.0


@dataclass(frozen=True)
class Arguments:
    """The arguments of the console; `command` is None without a command."""

    endpoint: Endpoint
    route: str = ""
    """The endpoint as it was written, if a connection there takes more than a socket."""
    files: Mapping[str, str] = field(default_factory=dict)
    """The files for TLS: `ca`, `certificate` and `key`."""
    named: bool = True
    """Whether the user named the endpoint."""
    command: str | None = None
    fold: bool = False
    json: bool = False
    color: bool = True
    timeout_s: float = _TIMEOUT_S
    server_user: str = SERVER_USER
    shows: str = ""
    """`help` or `version`: print that and end."""


def parse(words: Sequence[str], environment: Mapping[str, str]) -> Arguments:
    """Parse the command line. Raises UsageError with one line that says what was wrong."""
    left = list(words)
    user = environment.get("EC_CONSOLE_SERVER_USER") or SERVER_USER
    made = _options(left, Arguments(Endpoint(), color="NO_COLOR" not in environment, server_user=user))
    named = environment.get("EC_CONSOLE_ENDPOINT")
    if left and left[0] != "--" and _ENDPOINT.match(left[0]):
        named = left.pop(0)
        made = _options(left, made)
    if left[:1] == ["--"]:
        del left[0]
    written = named or DEFAULT_ENDPOINT
    if _ROUTE.match(written):
        return replace(made, endpoint=_end_of(written), route=written, named=True, command=join(left) if left else None)
    endpoint = _endpoint(written)
    return replace(made, endpoint=endpoint, named=bool(named), command=join(left) if left else None)


def _options(left: list[str], made: Arguments) -> Arguments:
    """Take the options off the beginning of `left`."""
    while left and left[0].startswith("-") and left[0] not in ("-", "--"):
        name, given, value = left.pop(0).partition("=")
        if name == "--timeout":
            value = value if given else _next(left, name, "a number of seconds")
            made = replace(made, timeout_s=_seconds(value))
            continue
        if name in _FILES:
            value = value if given else _next(left, name, "a FILE")
            made = replace(made, files={**made.files, _FILES[name]: value})
            continue
        if given:
            raise UsageError(f"{name} takes no value")
        match name:
            case "-b" | "--fold":
                made = replace(made, fold=True)
            case "--json":
                made = replace(made, json=True)
            case "--no-color":
                made = replace(made, color=False)
            case "-V" | "--version":
                made = replace(made, shows="version")
            case "-h" | "--help":
                made = replace(made, shows="help")
            case _:
                raise UsageError(f"No such option: {name}. Usage: {USAGE}")
    return made


def _next(left: list[str], name: str, kind: str) -> str:
    if not left:
        raise UsageError(f"{name} needs {kind}")
    return left.pop(0)


def _seconds(text: str) -> float:
    if not re.fullmatch(r"\d+(\.\d+)?", text) or not 0 < float(text) <= _TIMEOUT_MAX_S:
        raise UsageError(f"--timeout takes seconds, more than 0 and at most {_TIMEOUT_MAX_S:.0f}; not '{text}'")
    return float(text)


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
