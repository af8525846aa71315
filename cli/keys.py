"""`eccmgr keygen`: makes the key with which a manager signs its commands."""

import datetime as dt
import os
import socket
from pathlib import Path
from typing import Annotated

import typer

from eccmgr.errors import SettingsError
from eccmgr.naming import ALLOWED, is_plain_name

_LONGEST_DAYS = 36_500


def keygen(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where to write NAME.key and NAME.pub.")],
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="The name of the key; this host's name if not given.")
    ] = None,
    days: Annotated[int, typer.Option(min=1, max=_LONGEST_DAYS, help="The days for which it counts.")] = 365,
) -> None:
    """Make a key: NAME.key, which signs and is a secret, and NAME.pub, the line that nodes trust."""
    from eccmgr.access.keys import SigningKey, write_key_files

    called = name or socket.gethostname().partition(".")[0]
    if not is_plain_name(called):
        typer.echo(f"eccmgr: '{called}' cannot be the name of a key: {ALLOWED}", err=True)
        raise typer.Exit(2)
    key = SigningKey(os.urandom(32), called, dt.datetime.now(dt.UTC).date() + dt.timedelta(days=days))
    try:
        private, public = write_key_files(folder, key)
    except SettingsError as error:
        typer.echo(f"eccmgr: {error}", err=True)
        raise typer.Exit(1) from None
    typer.echo(f"{private}: signs; keep it secret\n{public}: for trusted_managers of the nodes\n{key.public}")
