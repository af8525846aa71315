"""`ec_scrampasswd`: writes the verifier of a user's password into a file, for listeners that ask users to sign in."""

import os
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from cli import application, terminal
from cli.console.password import typed_password
from cli.flags import version_flag
from eccmgr.text.unseen import visible_line

app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)
_SALT_BYTES = 16
_NOTHING_GIVEN = "no password was given"


@app.command()
def scrampasswd(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file of verifiers; made if need be.")],
    user: Annotated[str, typer.Argument(metavar="USER", help="The user to add or change.")],
    delete: Annotated[bool, typer.Option("--delete", help="Remove the user instead.")] = False,
    _version: Annotated[bool, version_flag("ec_scrampasswd")] = False,
) -> None:
    """Add a user to FILE, or change the user's password. It is read from the terminal, or from standard input."""
    from eccmgr.access.verifiers import Verifier, Verifiers, is_user

    if not is_user(user):
        raise _fault(f"'{user}' cannot be a user: printable characters except blanks and , : = @ \\", 2)
    try:
        users = dict(Verifiers.parse(file.read_bytes()).users) if file.exists() else {}
        if delete:
            if users.pop(user, None) is None:
                raise _fault(f"{file} has no user {user}", 1)
        else:
            users[user] = Verifier.of(_password(user), os.urandom(_SALT_BYTES))
        _write(file, "".join(f"{name}:{verifier}\n" for name, verifier in sorted(users.items())))
    except (OSError, ValueError) as error:
        raise _fault(f"{file}: {getattr(error, 'strerror', None) or error}", 1) from None
    typer.echo(f"{user}: {'removed from' if delete else 'written to'} {file}")


def _password(user: str) -> str:
    if not sys.stdin.isatty():
        return _given(sys.stdin.readline().rstrip("\n"))
    try:
        password = _given(typed_password(f"Password of {visible_line(user)}: "))
        if typed_password("Again: ") != password:
            raise ValueError("the two passwords differ")
    except (EOFError, OSError):
        raise ValueError(_NOTHING_GIVEN) from None
    return password


def _given(password: str) -> str:
    if not password:
        raise ValueError(_NOTHING_GIVEN)
    return password


def _write(file: Path, text: str) -> None:
    """Replace the file as a whole; it keeps its owner, and only its owner and group may read it."""
    owner = file.stat() if file.exists() else None
    descriptor, unfinished = tempfile.mkstemp(dir=file.absolute().parent, prefix=f".{file.name}.")
    with os.fdopen(descriptor, "w") as out:
        if owner is not None:
            if (owner.st_uid, owner.st_gid) != (os.geteuid(), os.getegid()):
                os.fchown(descriptor, owner.st_uid, owner.st_gid)
            os.fchmod(descriptor, owner.st_mode & 0o640)
        out.write(text)
        out.flush()
        os.fsync(descriptor)
    Path(unfinished).replace(file)


def _fault(text: str, code: int) -> typer.Exit:
    typer.echo(f"ec_scrampasswd: {text}", err=True)
    return typer.Exit(code)


def main() -> None:
    """The program's entry point."""
    terminal.run("ec_scrampasswd", lambda: application.run(app, "ec_scrampasswd"))
