"""The command line of `ecnode`, a node of the cluster."""

import os
import sys
from typing import Annotated

import structlog
import typer

from cli.daemons import Program
from eccmgr import streams
from eccmgr.config.live.effective import ScopeView
from eccmgr.settings import NodeSettings
from eccmgr.version import banner

DEFAULT_FILE = "/etc/eccmgr/ecelerity-cluster.conf"

log = structlog.get_logger()

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(banner("ecnode"))
        raise typer.Exit


@app.command()
def ecnode(
    name: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The node's name; the host's, up to its first dot, if not given."),
    ] = None,
    subcluster: Annotated[str | None, typer.Option(metavar="NAME", help="The subcluster it belongs to.")] = None,
    replace: Annotated[
        bool | None, typer.Option("--replace", help="Take the name over from a process that is alive under it.")
    ] = None,
    config: Annotated[
        str | None,
        typer.Option("-c", "--config", metavar="FILE", help=f"Configuration file; {DEFAULT_FILE} where it exists."),
    ] = None,
    debug: Annotated[bool | None, typer.Option("-d", "--debug", help="Stay in the foreground (always so).")] = None,
    verbose: Annotated[int, typer.Option("-v", "--verbose", count=True, help="Log more; may be repeated.")] = 0,
    _version: Annotated[
        bool,
        typer.Option("-V", "--version", callback=_show_version, is_eager=True, help="Print the version and end."),
    ] = False,
    redis: Annotated[str | None, typer.Option(metavar="URL", help="Where Redis is.")] = None,
    cluster: Annotated[str | None, typer.Option(metavar="NAME", help="The cluster to join.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Check the configuration file and end.")] = False,
    listen: Annotated[
        list[str] | None, typer.Option(metavar="ENDPOINT", help="Where consoles connect; may be repeated.")
    ] = None,
) -> None:
    """Run a node in the foreground. Every option may be given as ECCMGR_OPTION too; the flag wins."""
    from worker.node import Node

    flags = {
        "name": name,
        "subcluster": subcluster,
        "replace": replace,
        "config": config,
        "debug": debug,
        "verbose": verbose or None,
        "redis": redis,
        "cluster": cluster,
        "listen": tuple(listen) if listen else None,
    }
    program = Program(Node.program, NodeSettings, DEFAULT_FILE, Node, _lead)
    raise typer.Exit(program.run(flags, check=check))


def _lead(view: ScopeView) -> int | None:
    """If the node will stop being root and has VIPs, run it under a parent that keeps the right to change addresses."""
    from worker.duravip.options import duravip_options
    from worker.duravip.vips import read_vips
    from worker.guardian.launch import CONTROL
    from worker.guardian.parent import Parent
    from worker.isolation import isolated

    user = view.scope("Security").text("User")
    if CONTROL in os.environ or os.geteuid() != 0 or user in (None, "root") or not read_vips(view):
        return None
    program = duravip_options(view).plumber_program or ""
    # The node changes its user itself, after it has read the files that only root may read.
    return Parent(isolated("cli.ecnode", *sys.argv[1:]), "", program, log.warning).run()


def main() -> None:
    """The program's entry point."""
    streams.run("ecnode", app)


if __name__ == "__main__":
    main()
