"""The display of answers: streams, folding, colours on a terminal, and the removal of characters that could control
it."""

import json
import re
import shutil
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TextIO

from cli.console.arguments import Arguments
from cli.console.heard import Heard, outcome_of
from cli.terminal import Painted
from eccmgr.commands.answer import FORMS, Format, Status
from eccmgr.control.client.session import Client, Result
from eccmgr.errors import NoConnection
from eccmgr.text.unseen import visible_lines

if TYPE_CHECKING:
    from cli.console.asking import Asking

_BAD = re.compile(r"^(\S+: )((?:failed|refused):|\((?:lost|missed|skipped|aborted|absent[^)\n]*)\))", re.MULTILINE)
_OPEN = re.compile(r"^(\S+: )(\((?:pending|running),[^)]*\))$", re.MULTILINE)
_HEADER = re.compile(r"^(# [0-9A-Z]{12}  .*)$", re.MULTILINE)
_RED, _YELLOW, _BOLD, _PLAIN = "\x1b[31m", "\x1b[33m", "\x1b[1m", "\x1b[0m"


class Display:
    """Gives commands to a client and shows the results: answers on standard output, problems on standard error."""

    def __init__(self, client: Client, asked: Arguments) -> None:
        self._client = client
        self._asked = asked
        self._command, self._heard, self._showing = "", Heard(), False
        self.asking: Asking | None = None
        """Decides whether a line is sent; None: every line is."""

    def ask(self, command: str, deadline: float) -> tuple[Result, str]:
        """Run `command`; answers its result and the text to show, without the part that a stream has shown already.

        Raises NoConnection, which names the daemons of this host if the user named none, and NoAnswer.
        """
        try:
            return self._ask(command, deadline)
        except NoConnection as error:
            if self._asked.named:
                raise
            raise NoConnection(f"{error}{_elsewhere()}") from None

    def _ask(self, command: str, deadline: float) -> tuple[Result, str]:
        self._command, self._heard = command, Heard()
        named, folding = _form_named(command), self._folds(command)
        form = Format.JSON if self._asked.json or folding else Format.TEXT
        asked_form = Format.JSON if self._asked.json else Format.TEXT
        if self.asking is not None and (instead := self.asking.refusal(command, deadline, asked_form)) is not None:
            return instead, instead.body
        # A terminal shows responses as they come; a script gets them in order of name.
        self._showing = sys.stdout.isatty() and form is Format.TEXT and named is None
        width = shutil.get_terminal_size().columns if self._showing else 80
        result = self._client.ask(command, deadline, form, self._take, width, whole=not self._showing)
        return result, _folded(result.body) if folding else result.body

    def leave_off(self, *, answers: bool) -> bool:
        """The console stops waiting: tell the user how the present command goes on. Answers False if no command was
        sent.

        With `answers`, first show the responses so far, and the other nodes as pending.
        """
        if not self._heard.id:
            return False
        if answers:
            self.write(self._so_far(), sys.stdout)
        self.write(self._heard.way_on, sys.stderr)
        return True

    @property
    def knows_the_way(self) -> bool:
        """Whether the present command was certainly sent. Then `leave_off` says how it goes on."""
        return bool(self._heard.id)

    @property
    def command_id(self) -> str:
        """The id of the present command; empty if it is not certain that one was sent."""
        return self._heard.id

    @property
    def sent_command(self) -> str:
        """What the present command has sent to nodes, without secrets."""
        return self._heard.command

    @property
    def folds(self) -> bool:
        """Whether identical answers are shown once."""
        return self._asked.fold

    def fold(self, on: bool) -> None:
        """Show identical answers once from now on, or each."""
        self._asked = replace(self._asked, fold=on)

    @property
    def speaks_json(self) -> bool:
        """Whether answers are shown as JSON objects."""
        return self._asked.json

    def speak_json(self, on: bool) -> None:
        """Show answers as JSON objects from now on, or as text."""
        self._asked = replace(self._asked, json=on)

    @property
    def is_showing(self) -> bool:
        """Whether responses are shown as they come."""
        return self._showing

    def _so_far(self) -> str:
        named, folding = _form_named(self._command), self._folds(self._command)
        form = Format.JSON if self._asked.json or folding else named or Format.TEXT
        answer = self._heard.answer(form, shown=self._showing)
        if self._showing and answer.tail is not None:
            return answer.tail
        command = self._command if named is None else self._command.split(maxsplit=1)[1]
        text = answer.render(form, command)
        return _folded(text) if folding else text

    def _folds(self, command: str) -> bool:
        return self._asked.fold and not self._asked.json and _form_named(command) is None

    def show(self, result: Result, text: str) -> None:
        """Print an answer, or a problem."""
        problem = result.status in (Status.ERROR, Status.DENIED) and not self._asked.json
        if text:
            self.write(text, sys.stderr if problem else sys.stdout, problem=problem)

    def write(self, text: str, stream: TextIO, *, problem: bool = False) -> None:
        """Print `text` and a newline; to a terminal with colours and without control characters."""
        if stream.isatty():
            text = visible_lines(text)
            if self._asked.color:
                text = f"{_RED}{text}{_PLAIN}" if problem else _colored(text)
        # What is not ours has been made visible above.
        stream.write(Painted(text + "\n"))
        stream.flush()

    def _take(self, event: Mapping[str, Any]) -> None:
        self._heard.take(event)
        if self._showing and isinstance(line := event.get("line"), str):
            self.write(line, sys.stdout)


def deadline_after(seconds: float) -> float:
    """The deadline for `Display.ask` that is `seconds` from now."""
    return time.monotonic() + seconds


def _elsewhere() -> str:
    from eccmgr.control.client.nearby import nearby

    return "".join(f"\nOn this host {daemon.program} listens; try: ec_console {daemon.endpoint}" for daemon in nearby())


def _form_named(command: str) -> Format | None:
    """The form that the first word of `command` asks for."""
    return FORMS.get("".join(command.split(maxsplit=1)[:1]).lower())


def _folded(body: str) -> str:
    """The JSON answer `body` as text. Equal responses are shown once, under all nodes that gave them."""
    from eccmgr.commands.rendering import folded

    try:
        fields = json.loads(body)
        text = str(fields["body"])
        nodes = fields.get("nodes")
        return text if nodes is None else "\n".join((text.partition("\n")[0], *folded(map(outcome_of, nodes))))
    except (ValueError, TypeError, KeyError, AttributeError):
        # A server of another kind answers what it likes.
        return body


def _colored(text: str) -> str:
    text = _BAD.sub(rf"\g<1>{_RED}\g<2>{_PLAIN}", text)
    text = _OPEN.sub(rf"\g<1>{_YELLOW}\g<2>{_PLAIN}", text)
    return _HEADER.sub(rf"{_BOLD}\g<1>{_PLAIN}", text)
