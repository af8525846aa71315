"""The flags that the command lines of both daemons have."""

from typing import Annotated, Any

import typer

from eccmgr.version import banner

Debug = Annotated[bool | None, typer.Option("-d", "--debug", help="Stay in the foreground (always so).")]
Verbose = Annotated[int, typer.Option("-v", "--verbose", count=True, help="Log more; may be repeated.")]
RedisUrl = Annotated[str | None, typer.Option(metavar="URL", help="Where Redis is.")]
PasswordFile = Annotated[str | None, typer.Option(metavar="FILE", help="The file with the password of Redis.")]
SentinelPasswordFile = Annotated[
    str | None, typer.Option(metavar="FILE", help="The file with the password of the sentinels.")
]
Check = Annotated[bool, typer.Option("--check", help="Check the configuration file and end.")]
Endpoints = Annotated[
    list[str] | None, typer.Option(metavar="ENDPOINT", help="Where consoles connect; may be repeated.")
]
ManagerKeys = Annotated[
    list[str] | None,
    typer.Option(metavar="LINE", help="The public key of a manager, as in its .pub file; may be repeated."),
]
LogForm = Annotated[
    str | None, typer.Option("--log-format", metavar="FORMAT", help="How events go to standard error: logfmt or json.")
]

Http = Annotated[
    str | None, typer.Option(metavar="HOST:PORT", help="Where pages, metrics and health are served over HTTP.")
]
HttpPrefix = Annotated[str | None, typer.Option(metavar="/PATH", help="The path under which a proxy serves them.")]


def config_flag(default: str) -> Any:
    """The flag that names the configuration file of a program."""
    return typer.Option("-c", "--config", metavar="FILE", help=f"Configuration file; {default} where it exists.")


def version_flag(program: str) -> Any:
    """The flag that prints the version of `program`."""

    def show(asked: bool) -> None:
        if asked:
            typer.echo(banner(program))
            raise typer.Exit

    return typer.Option("-V", "--version", callback=show, is_eager=True, help="Print the version and end.")
