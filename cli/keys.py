"""`eccmgr keygen` and `eccmgr ca`: make the keys of managers and nodes, and the certificates of nodes."""

import datetime as dt
import os
import socket
from pathlib import Path
from typing import Annotated

import typer

from eccmgr.errors import SettingsError
from eccmgr.text.naming import ALLOWED, is_plain_name

_LONGEST_DAYS = 36_500

authority = typer.Typer(add_completion=False, rich_markup_mode=None, help="Certify the keys of nodes.")


def keygen(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where to write NAME.key and NAME.pub.")],
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="The name of the key; this host's name if not given.")
    ] = None,
    days: Annotated[int, typer.Option(min=1, max=_LONGEST_DAYS, help="The days for which it counts.")] = 365,
) -> None:
    """Make a key: NAME.key, which signs and is a secret, and NAME.pub, the line that others trust."""
    from eccmgr.access.keys import SigningKey, write_key_files

    called = name or socket.gethostname().partition(".")[0]
    if not is_plain_name(called):
        typer.echo(f"eccmgr: '{called}' cannot be the name of a key: {ALLOWED}", err=True)
        raise typer.Exit(2)
    key = SigningKey(os.urandom(32), called, _in_days(days))
    try:
        private, public = write_key_files(folder, key)
    except SettingsError as error:
        typer.echo(f"eccmgr: {error}", err=True)
        raise typer.Exit(1) from None
    typer.echo(f"{private}: signs; keep it secret\n{public}: may be shown to everybody\n{key.public}")


@authority.command()
def sign(
    authority_key: Annotated[Path, typer.Argument(metavar="CA.key", help="The key of the authority, from keygen.")],
    node_public: Annotated[Path, typer.Argument(metavar="NODE.pub", help="The node's public key; its name counts.")],
    cluster: Annotated[str, typer.Option(metavar="NAME", help="The cluster of the node.")] = "ec_cluster",
    subcluster: Annotated[str, typer.Option(metavar="NAME", help="The subcluster of the node.")] = "default",
    days: Annotated[int, typer.Option(min=1, max=_LONGEST_DAYS, help="The days for which it counts.")] = 365,
) -> None:
    """Print the certificate that lets NODE.pub speak for the node that it is named after."""
    from eccmgr.access.certificates import certify
    from eccmgr.access.keys import PublicKey, read_signing_key

    try:
        signer = read_signing_key(authority_key)
        key = PublicKey.parse(node_public.read_text())
        for name in (cluster, subcluster):
            if not is_plain_name(name):
                raise SettingsError(f"'{name}' cannot be a name: {ALLOWED}")
    except (SettingsError, ValueError, OSError) as error:
        typer.echo(f"eccmgr: {node_public}: {error}" if isinstance(error, ValueError) else f"eccmgr: {error}", err=True)
        raise typer.Exit(1) from None
    end = dt.datetime.combine(_in_days(days), dt.time(), dt.UTC)
    typer.echo(certify(signer, cluster, key, subcluster, int(end.timestamp() * 1000)).line)


def _in_days(days: int) -> dt.date:
    return dt.datetime.now(dt.UTC).date() + dt.timedelta(days=days)
