"""Writes the man pages of all programs from their command lines: `python -m ops.release.manual FOLDER`."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from eccmgr.version import __version__

_APPLICATIONS = {
    "eccmgr": "cli.eccmgr",
    "eccmgr_ctl": "cli.eccmgr_ctl",
    "ecnode": "cli.ecnode",
    "ec_console": "cli.console.options",
    "ec_scrampasswd": "cli.scrampasswd",
}


def pages() -> dict[str, str]:
    """Each page in the language of man(7), by the name of its program."""
    return {name: "\n".join(_page(name, _command_of(module))) + "\n" for name, module in _APPLICATIONS.items()}


def _command_of(module: str) -> Any:
    return typer.main.get_command(importlib.import_module(module).app)


def _page(name: str, command: Any) -> Iterator[str]:
    context = command.make_context(name, [], resilient_parsing=True)
    yield f'.TH {name.upper()} 1 "" "eccmgr {__version__}" "eccmgr"'
    yield ".SH NAME"
    about, *more = (command.help or "").split("\n\n")
    yield f"{_escaped(name)} \\- {_escaped(_sentence(about))}"
    yield ".SH SYNOPSIS"
    yield f"{_bold(name)} {_escaped(context.get_usage().partition(name)[2].strip())}"
    yield ".SH DESCRIPTION"
    for paragraph in (about, *more):
        yield from (".PP", _escaped(" ".join(paragraph.split())))
    yield ".SH OPTIONS"
    yield from _options(command, context)
    if getattr(command, "commands", None):
        yield ".SH COMMANDS"
        yield from _commands(command, name)
    if command.epilog:
        yield from (".SH EXIT STATUS", _escaped(" ".join(command.epilog.split())))
    yield ".SH SEE ALSO"
    others = ", ".join(f"{_bold(other)}(1)" for other in _APPLICATIONS if other != name)
    yield f"{others}; /usr/share/doc/eccmgr"


def _options(command: Any, context: Any) -> Iterator[str]:
    for parameter in command.get_params(context):
        if record := parameter.get_help_record(context):
            yield from (".TP", _bold(record[0]), _escaped(" ".join(record[1].split())))


def _commands(command: Any, path: str) -> Iterator[str]:
    for name, child in command.commands.items():
        context = child.make_context(f"{path} {name}", [], resilient_parsing=True)
        yield f".SS {_escaped(f'{path} {name}')}"
        yield _escaped(" ".join((child.help or "").split()))
        yield from _options(child, context)
        if getattr(child, "commands", None):
            yield from _commands(child, f"{path} {name}")


def _sentence(text: str) -> str:
    """The first sentence without its full stop, in lower case, as a page's line of NAME has it."""
    first = " ".join(text.split()).partition(". ")[0].rstrip(".")
    return first[:1].lower() + first[1:]


def _escaped(text: str) -> str:
    """The text without meaning for troff."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{text}" if text.startswith((".", "'")) else text


def _bold(text: str) -> str:
    return f"\\fB{_escaped(text)}\\fR"


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (folder / f"{name}.1").write_text(text, encoding="utf-8")
