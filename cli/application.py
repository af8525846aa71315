"""Runs a typer application as one of our programs: a call that makes no sense gets one line."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import typer

from eccmgr.errors import UsageError
from eccmgr.text.unseen import visible_line

_FAILED = 1
_USAGE = 2


def run(app: typer.Typer, program: str) -> Any:
    """Run `app` with the words of the command line; answers the exit code of the program of this name."""
    try:
        return outcome(app, program)
    except UsageError as error:
        sys.stderr.write(visible_line(f"{program}: {error}") + "\n")
        return _USAGE


def outcome(
    app: typer.Typer, program: str, words: Sequence[str] | None = None, obj: Mapping[str, str] | None = None
) -> Any:
    """What the function of `app` returns, or the exit code if typer has ended the call, as after `--help`.

    `words` stand for those of the command line; `obj` is the object of typer's context. Raises UsageError.
    """
    command = typer.main.get_command(app)
    try:
        # Without typer's own colours, of which NO_COLOR and TERM know nothing.
        return command.main(words, prog_name=program, standalone_mode=False, obj=obj, color=False)
    except typer.TyperException as error:
        said, context = " ".join(error.format_message().split()), getattr(error, "ctx", None)
        # With the usage, for only some of typer's errors name what would be right.
        usage = " ".join(context.get_usage().split()) if context is not None else f"See {program} --help"
        raise UsageError(f"{said if said.endswith(('.', '?')) else f'{said}.'} {usage}") from None
    except OSError as error:
        # Such as the files of `--install-completion`, which typer writes.
        if error.filename is None:
            raise
        sys.stderr.write(visible_line(f"{program}: {error.filename}: {error.strerror}") + "\n")
        return _FAILED
    except typer.Abort:
        # Input has ended at a question.
        return _FAILED
