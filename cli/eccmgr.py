"""The command line of `eccmgr`, the cluster manager."""

from typing import Annotated

import typer

from cli import application, terminal
from cli.acl import acl
from cli.concealment import conceal
from cli.daemons import DaemonProgram
from cli.flags import (
    Check,
    Debug,
    Endpoints,
    Http,
    HttpPrefix,
    LogForm,
    ManagerKeys,
    PasswordFile,
    RedisUrl,
    SentinelPasswordFile,
    Verbose,
    config_flag,
    version_flag,
)
from cli.keys import authority, keygen
from eccmgr.settings import ManagerSettings

DEFAULT_FILE = "/etc/eccmgr/eccluster.conf"

app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)


@app.callback(invoke_without_command=True)
def eccmgr(
    context: typer.Context,
    config: Annotated[str | None, config_flag(DEFAULT_FILE)] = None,
    debug: Debug = None,
    verbose: Verbose = 0,
    _version: Annotated[bool, version_flag("eccmgr")] = False,
    redis: RedisUrl = None,
    redis_password_file: PasswordFile = None,
    sentinel_password_file: SentinelPasswordFile = None,
    cluster: Annotated[
        str | None, typer.Option("-g", "--cluster", metavar="NAME", help="The cluster to manage.")
    ] = None,
    name: Annotated[str | None, typer.Option(metavar="HOST", help="This host's name.")] = None,
    check: Check = False,
    listen: Endpoints = None,
    log_format: LogForm = None,
    trusted_manager: ManagerKeys = None,
    node_authority: Annotated[
        list[str] | None,
        typer.Option(metavar="LINE", help="The public key of an authority that certifies nodes; may be repeated."),
    ] = None,
    signing_key: Annotated[
        str | None, typer.Option(metavar="FILE", help="The file of the key that signs this manager's commands.")
    ] = None,
    http: Http = None,
    http_prefix: HttpPrefix = None,
) -> None:
    """Run a cluster manager in the foreground. Every option may be given as ECCMGR_OPTION too; the flag wins."""
    if context.invoked_subcommand is not None:
        return
    from eccmgr.manager import PROGRAM, Manager

    flags = {
        "config": config,
        "debug": debug,
        "verbose": verbose or None,
        "log_format": log_format,
        "redis": redis,
        "redis_password_file": redis_password_file,
        "sentinel_password_file": sentinel_password_file,
        "cluster": cluster,
        "name": name,
        "listen": tuple(listen) if listen else None,
        "trusted_manager": tuple(trusted_manager) if trusted_manager else None,
        "signing_key": signing_key,
        "http": http,
        "http_prefix": http_prefix,
        "node_authority": tuple(node_authority) if node_authority else None,
    }
    program = DaemonProgram(PROGRAM, ManagerSettings, DEFAULT_FILE, Manager)
    raise typer.Exit(program.run(flags, check=check))


app.command()(keygen)
app.command()(acl)
app.add_typer(authority, name="ca")


def main() -> None:
    """The program's entry point."""
    conceal()
    terminal.run("eccmgr", lambda: application.run(app, "eccmgr"))
