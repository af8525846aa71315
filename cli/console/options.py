"""The console as a typer application: its options, its help, its usage errors, and completion by the shell.

The options end at the first word of COMMAND; what follows belongs to the command. So they may stand on both sides of
ENDPOINT, which is the one thing that typer cannot read by itself.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from cli import application
from cli.console.arguments import PROGRAM, TIMEOUT_S, Arguments, arguments, parted
from cli.console.completion import ENDPOINT, complete_word
from eccmgr.control.endpoint import DEFAULT_ENDPOINT
from eccmgr.control.socket_trust import SERVER_USER
from eccmgr.errors import UsageError

USAGE = "[OPTIONS] [ENDPOINT] [OPTIONS] [COMMAND …]"
_TIMEOUT_MAX_S = 7 * 86400

_HELP = f"""Run COMMAND on the manager or node that listens at ENDPOINT, and print its answer. Without a COMMAND: a
prompt on a terminal, else the lines of standard input one by one. The COMMAND `top` shows the whole cluster on a
full screen, which changes nothing there.

ENDPOINT is /PATH or [USER@]HOST:PORT, with tls:// before it for TLS, or ssh://OSUSER@HOST/[USER@]HOST:PORT through
SSH; by default $EC_CONSOLE_ENDPOINT, else {DEFAULT_ENDPOINT}. USER signs in; the password is in the file
$ECCMGR_PASSWORD_FILE, else it is asked for. $EC_CONSOLE_ENDPOINT takes several, separated by commas: those of
other managers of the same cluster, which are asked where one does not answer.

A socket in a folder where everybody may write, as in /tmp, must be served by root, by you, or by
$EC_CONSOLE_SERVER_USER (by default {SERVER_USER})."""

_EPILOG = """Exit codes: 0 all well, 1 refused or failed, 2 usage, 3 some nodes did not answer or answered with an
error, 4 cannot connect, 5 authentication or authorization failed."""

app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)


class AsTyped:
    """Takes the value of an option as it was typed, in place of typer's conversion by pydantic.

    To import pydantic takes as long as to import typer, and nothing here is more than words and switches.
    """

    @staticmethod
    def coerce(value: Any, **_context: Any) -> Any:
        """The value itself."""
        return value


class ConsoleCommand(TyperCommand):
    """A command whose options may stand on both sides of its ENDPOINT, and end at the word after it."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """Take ENDPOINT off, so that the options on both sides of it are read as one row."""
        words: Sequence[str] = self.make_parser(ctx).parse_args(list(args))[0]["words"] or ()
        before = args[: len(args) - len(words)]
        if before[-1:] != ["--"]:
            ctx.meta[ENDPOINT], words = parted(words)
        return super().parse_args(ctx, [*before, *words])

    def get_params(self, ctx: typer.Context) -> list[Any]:  # type: ignore[override]
        """The parameters, whose values are taken as typed."""
        params = super().get_params(ctx)
        for param in params:
            param.get_runtime_param = AsTyped  # type: ignore[attr-defined]
        return params

    def shell_complete(self, ctx: typer.Context, incomplete: str) -> list[Any]:  # type: ignore[override]
        """What a shell offers for a word that begins as an option: after COMMAND has begun, the command's own."""
        if not ctx.params.get("words"):
            return super().shell_complete(ctx, incomplete)
        return next(param for param in self.params if param.name == "words").shell_complete(ctx, incomplete)

    def collect_usage_pieces(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]  # noqa: ARG002
        """The words of the usage line behind the name of the program."""
        return USAGE.split(" ")


def _seconds(text: str) -> float:
    if not re.fullmatch(r"\d+(\.\d+)?", text, re.ASCII) or not 0 < float(text) <= _TIMEOUT_MAX_S:
        raise UsageError(f"--timeout takes seconds, more than 0 and at most {_TIMEOUT_MAX_S}; not '{text}'")
    return float(text)


def _show_version(asked: bool) -> None:
    if asked:
        from eccmgr.version import full_version

        typer.echo(f"{PROGRAM} {full_version()}")
        raise typer.Exit


@app.command(
    cls=ConsoleCommand,
    help=_HELP,
    epilog=_EPILOG,
    context_settings={"allow_interspersed_args": False, "help_option_names": ["-h", "--help"]},
)
def ec_console(
    context: typer.Context,
    words: Annotated[
        list[str] | None,
        typer.Argument(autocompletion=complete_word, hidden=True),
    ] = None,
    fold: Annotated[
        bool, typer.Option("-b", "--fold", help="Show identical answers once, under the nodes that gave them.")
    ] = False,
    diff: Annotated[
        bool, typer.Option("--diff", help="Show where answers differ from the one that most nodes gave.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Show each answer as a JSON object.")] = False,
    timeout: Annotated[
        str,
        typer.Option(metavar="SECONDS", show_default=False, help="Give up after SECONDS in all (default 3600)."),
    ] = str(TIMEOUT_S),
    ca: Annotated[
        str | None, typer.Option(metavar="FILE", help="Trust this authority for tls://, not the system's.")
    ] = None,
    cert: Annotated[
        str | None, typer.Option(metavar="FILE", help="The certificate for tls:// that says who you are.")
    ] = None,
    key: Annotated[str | None, typer.Option(metavar="FILE", help="The key of that certificate.")] = None,
    no_color: Annotated[
        bool, typer.Option("--no-color", help="No colours on a terminal (as NO_COLOR in the environment).")
    ] = False,
    read_only: Annotated[
        bool,
        typer.Option(
            "--read-only", help="Send nothing that may change something (as EC_CONSOLE_READ_ONLY in the environment)."
        ),
    ] = False,
    no_progress: Annotated[
        bool, typer.Option("--no-progress", help="Do not show on a terminal how far a gather is.")
    ] = False,
    _version: Annotated[
        bool, typer.Option("-V", "--version", callback=_show_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> Arguments:
    """See `_HELP`."""
    files = {"ca": ca, "certificate": cert, "key": key}
    return arguments(
        context.meta.get(ENDPOINT, ""),
        words or [],
        context.obj,
        fold=fold,
        diff=diff,
        progress=not no_progress,
        json=json,
        timeout_s=_seconds(timeout),
        files={name: file for name, file in files.items() if file is not None},
        color=not no_color,
        read_only=read_only,
    )


def parse_options(words: Sequence[str], environment: Mapping[str, str]) -> Arguments:
    """Read a command line that may have options, as `arguments.parse`."""
    asked = application.outcome(app, PROGRAM, words, obj=environment)
    if isinstance(asked, Arguments):
        return asked
    raise SystemExit(asked)
