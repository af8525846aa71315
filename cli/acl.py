"""`eccmgr acl`: prints the rights of managers and nodes in Redis, for its ACL file."""

from typing import Annotated

import typer

from eccmgr.errors import SettingsError
from eccmgr.text.naming import ALLOWED, is_plain_name


def acl(
    cluster: Annotated[str, typer.Option("-g", "--cluster", metavar="NAME", help="The cluster.")] = "ec_cluster",
    node: Annotated[
        str | None, typer.Option(metavar="NAME", help="The node that is to be the user; all managers if not given.")
    ] = None,
    subcluster: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A subcluster that the node may be in; may be repeated. Else `default`."),
    ] = None,
    redis_password_file: Annotated[
        str | None, typer.Option(metavar="FILE", help="The file with the user's password, of which a hash is printed.")
    ] = None,
) -> None:
    """Print the user of all managers, or of one node, as a line for Redis's ACL file."""
    from eccmgr.redis import acl
    from eccmgr.redis.keys import Keys
    from eccmgr.settings import read_password

    try:
        for name in (cluster, *(() if node is None else (node,)), *(subcluster or ())):
            if not is_plain_name(name):
                raise SettingsError(f"'{name}' cannot be a name: {ALLOWED}")
        if subcluster and node is None:
            raise SettingsError("--subcluster is for a node: add --node NAME")
        password = "" if redis_password_file is None else read_password(redis_password_file)
    except SettingsError as error:
        typer.echo(f"eccmgr: {error}", err=True)
        raise typer.Exit(2) from None
    keys = Keys(cluster)
    if node is None:
        user, rights = acl.user_of_managers(keys), acl.rights_of_managers(keys)
    else:
        user, rights = acl.user_of_node(keys, node), acl.rights_of_node(keys, node, subcluster or ("default",))
    if not password:
        typer.echo(f"eccmgr: {user} has no password yet, and nobody can log in: name its file", err=True)
    typer.echo(acl.line(user, rights, password))
