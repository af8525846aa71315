"""The command line of `ecnode`, a node of the cluster."""

import contextlib
import os
import sys
from typing import Annotated

import structlog
import typer

from cli import application, terminal
from cli.concealment import conceal, handed_over
from cli.daemons import DaemonProgram
from cli.flags import (
    Check,
    Debug,
    Endpoints,
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
from eccmgr.config.live.effective import ScopeView
from eccmgr.errors import EccmgrError
from eccmgr.settings import NodeSettings

DEFAULT_FILE = "/etc/eccmgr/ecelerity-cluster.conf"

_SERVES_HTTP = "ECCMGR_SERVES_HTTP"
"""Tells an agent to import what it needs for that while it can."""

log = structlog.get_logger()

app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)

_Http = Annotated[str | None, typer.Option(metavar="HOST:PORT", help="Where metrics and health are served over HTTP.")]


@app.command()
def ecnode(
    name: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The node's name; the host's, up to its first dot, if not given."),
    ] = None,
    subcluster: Annotated[str | None, typer.Option(metavar="NAME", help="The subcluster it belongs to.")] = None,
    tag: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="A tag by which targets find it, such as role=mta; may be repeated."),
    ] = None,
    replace: Annotated[
        bool | None, typer.Option("--replace", help="Take the name over from a process that is alive under it.")
    ] = None,
    config: Annotated[str | None, config_flag(DEFAULT_FILE)] = None,
    debug: Debug = None,
    verbose: Verbose = 0,
    _version: Annotated[bool, version_flag("ecnode")] = False,
    redis: RedisUrl = None,
    redis_password_file: PasswordFile = None,
    sentinel_password_file: SentinelPasswordFile = None,
    cluster: Annotated[str | None, typer.Option(metavar="NAME", help="The cluster to join.")] = None,
    check: Check = False,
    listen: Endpoints = None,
    log_format: LogForm = None,
    signing_key: Annotated[
        str | None, typer.Option(metavar="FILE", help="The file of this node's key, for its answers and schedules.")
    ] = None,
    certificate: Annotated[
        str | None, typer.Option(metavar="FILE", help="The file of this node's certificate.")
    ] = None,
    trusted_manager: ManagerKeys = None,
    http: _Http = None,
    http_prefix: HttpPrefix = None,
) -> None:
    """Run a node in the foreground. Every option may be given as ECCMGR_OPTION too; the flag wins."""
    from worker.node import EcNode

    flags = {
        "name": name,
        "subcluster": subcluster,
        "tag": tuple(tag) if tag else None,
        "replace": replace,
        "config": config,
        "debug": debug,
        "verbose": verbose or None,
        "log_format": log_format,
        "redis": redis,
        "redis_password_file": redis_password_file,
        "sentinel_password_file": sentinel_password_file,
        "cluster": cluster,
        "listen": tuple(listen) if listen else None,
        "signing_key": signing_key,
        "certificate": certificate,
        "trusted_manager": tuple(trusted_manager) if trusted_manager else None,
        "http": http,
        "http_prefix": http_prefix,
    }
    program = DaemonProgram(EcNode.program, NodeSettings, DEFAULT_FILE, EcNode, _lead)
    raise typer.Exit(program.run(flags, check=check))


def _lead(settings: NodeSettings, view: ScopeView) -> int | None:
    """If the node has VIPs and will give up root, run it under a parent that keeps the right to change addresses.

    The view is of files that root alone may write. The parent reads nothing else, and reads it once.
    """
    from eccmgr.redis.address import RedisAddress
    from eccmgr.web.listener import http_options
    from worker.duravip.charter import charter_of
    from worker.duravip.options import duravip_options
    from worker.duravip.vips import read_vips
    from worker.guardian.account import account_of
    from worker.guardian.launch import CONTROL
    from worker.guardian.parent import Parent
    from worker.isolation import isolated

    security = view.scope("Security")
    user, group = security.text("User"), security.text("Group")
    if CONTROL in os.environ or os.geteuid() != 0 or user in (None, "root") or not read_vips(view):
        return None
    program = duravip_options(view).plumber_program or ""
    charter = charter_of(view, RedisAddress.parse(settings.redis))
    agent = isolated("cli.ecnode", *sys.argv[1:])
    try:
        account = account_of(user or "", group).environment
        if http_options(view, settings.http, settings.http_prefix) is not None:
            account = {**account, _SERVES_HTTP: "1"}
        with handed_over() as (variable, secrets):
            environment = {**account, **variable}
            parent = Parent(agent, "", program, log.warning, charter=charter, environment=environment, given=secrets)
            return parent.run()
    except OSError as error:
        raise EccmgrError(f"{security.place('User')}: {error}") from None


def _begin_as_agent() -> None:
    """Import everything while the modules can be read, then become the user that the parent has named."""
    from eccmgr.modules.catalogue import installed
    from eccmgr.redis.scripts import load_all
    from worker.guardian.account import become_the_account
    from worker.node import EcNode  # noqa: F401 — for what it imports

    with contextlib.suppress(ImportError):
        import uvloop  # noqa: F401
    if _SERVES_HTTP in os.environ:
        # If they are not installed, the listener says so.
        with contextlib.suppress(ImportError):
            import worker.metrics  # noqa: F401
    installed()
    load_all()
    become_the_account()


def main() -> None:
    """The program's entry point."""
    from worker.guardian.account import ACCOUNT

    conceal()
    if ACCOUNT in os.environ:
        _begin_as_agent()
    terminal.run("ecnode", lambda: application.run(app, "ecnode"))


if __name__ == "__main__":
    main()
