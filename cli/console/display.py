"""The display of answers: streams, folding, colours on a terminal, and the removal of characters that could control
it."""

import contextlib
import json
import re
import shutil
import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TextIO

from cli.console.arguments import Arguments
from cli.console.heard import Heard, outcome_of
from cli.console.likeness import Folding
from cli.console.settings import DisplaySettings
from cli.terminal import Painted
from eccmgr.commands.answer import FORMS, Format, Status
from eccmgr.control.client.session import Client, Result
from eccmgr.errors import NoConnection
from eccmgr.text.unseen import visible_lines

if TYPE_CHECKING:
    from cli.console.asking import Asking
    from cli.console.gather_display import GatherDisplay
    from eccmgr.cluster.outcomes import Outcome

_BAD = re.compile(r"^(\S+: )((?:failed|refused):|\((?:lost|missed|skipped|aborted|absent[^)\n]*)\))", re.MULTILINE)
_OPEN = re.compile(r"^(\S+: )(\((?:pending|running),[^)]*\))$", re.MULTILINE)
_HEADER = re.compile(r"^(# [0-9A-Z]{12}  .*)$", re.MULTILINE)
_RED, _YELLOW, _BOLD, _PLAIN = "\x1b[31m", "\x1b[33m", "\x1b[1m", "\x1b[0m"


class Display:
    """Gives commands to a client and shows the results: answers on standard output, problems on standard error."""

    def __init__(self, client: Client, asked: Arguments) -> None:
        self._client = client
        self._asked = asked
        self.settings = DisplaySettings.of(asked)
        """What the next command is shown by."""
        self._command, self._heard, self._showing = "", Heard(), False
        self._live: GatherDisplay | None = None
        self._ended = contextlib.ExitStack()
        self.asking: Asking | None = None
        """Decides whether a line is sent; None: every line is."""
        self.says_id = False
        """Whether a terminal shows the id of a gather before its first answer, for a user who may have to go on with
        it."""

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
        self._command, self._heard, self._live = command, Heard(), None
        named, folding = _form_named(command), self._folds(command)
        form = Format.JSON if self.settings.json or folding else Format.TEXT
        asked_form = Format.JSON if self.settings.json else Format.TEXT
        if self.asking is not None and (instead := self.asking.refusal(command, deadline, asked_form)) is not None:
            return instead, instead.body
        # A terminal shows responses as they come; a script gets them in order of name.
        self._showing = sys.stdout.isatty() and form is Format.TEXT and named is None
        width = shutil.get_terminal_size().columns if self._showing else 80
        with contextlib.ExitStack() as self._ended:
            result = self._client.ask(command, deadline, form, self._take, width, whole=not self._showing)
        text, outcomes = folded(result.body, self.settings) if folding else (result.body, None)
        return result, text if self._live is None else self._ending(result, text, outcomes)

    def _ending(self, result: Result, text: str, outcomes: "list[Outcome] | None") -> str:
        """The rest of a gather's report on a terminal, and the line behind it."""
        assert self._live is not None
        rest = self._live.rest() if self._showing else ""
        if result.status in (Status.ERROR, Status.DENIED):
            if rest:
                self.write(rest, sys.stdout)
            return text
        last = self._live.last_line(text if outcomes is None else outcomes)
        return "\n".join(part for part in (rest, text, last) if part)

    def leave_off(self, *, answers: bool, attach: bool = False) -> bool:
        """The console stops waiting: tell the user how the present command goes on. Answers False if no command was
        sent.

        With `answers`, first show the responses so far, and the other nodes as pending. With `attach`, name that way
        too.
        """
        if not self._heard.id:
            return False
        if answers:
            self.write(self._so_far(), sys.stdout)
        elif self._live is not None and (groups := self._live.groups()):
            self.write(groups, sys.stdout)
        self.write(self._heard.way_on(attach=attach), sys.stderr)
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
    def is_showing(self) -> bool:
        """Whether responses are shown as they come."""
        return self._showing

    def _so_far(self) -> str:
        named, folding = _form_named(self._command), self._folds(self._command)
        form = Format.JSON if self.settings.json or folding else named or Format.TEXT
        answer = self._heard.answer(form, shown=self._showing)
        if self._showing and answer.tail is not None:
            rest = "" if self._live is None else self._live.rest()
            return f"{rest}\n{answer.tail}" if rest else answer.tail
        command = self._command if named is None else self._command.split(maxsplit=1)[1]
        text = answer.render(form, command)
        return folded(text, self.settings)[0] if folding else text

    def _folds(self, command: str) -> bool:
        return self.settings.folds and _form_named(command) is None

    def show(self, result: Result, text: str) -> None:
        """Print an answer, or a problem."""
        problem = result.status in (Status.ERROR, Status.DENIED) and not self.settings.json
        if text:
            text = self.wrapped(text)
            self.write(text, sys.stderr if problem else sys.stdout, problem=problem)

    def wrapped(self, text: str) -> str:
        """The answer to the present command: on a terminal, `help` is wrapped between words."""
        if self._command.lower().split(maxsplit=1)[:1] != ["help"] or not sys.stdout.isatty():
            return text
        from cli.console.wrapping import wrapped

        return wrapped(text, shutil.get_terminal_size().columns)

    def write(self, text: str, stream: TextIO, *, problem: bool = False) -> None:
        """Print `text` and a newline; to a terminal with colours and without control characters."""
        # What is not ours has been made visible.
        stream.write(Painted((self._fit(text, problem=problem) if stream.isatty() else text) + "\n"))
        stream.flush()

    def _fit(self, text: str, *, problem: bool = False) -> str:
        """`text` fit for a terminal."""
        text = visible_lines(text)
        if not self.settings.color:
            return text
        return f"{_RED}{text}{_PLAIN}" if problem else _colored(text)

    def _take(self, event: Mapping[str, Any]) -> None:
        self._heard.take(event)
        if self._live is None and self._heard.id and self._follows():
            # Imported only here: no other command needs it, nor a script.
            from cli.console.gather_display import GatherDisplay

            self._live = GatherDisplay(sys.stdout, self.settings, self._fit, says_id=self.says_id)
            self._ended.enter_context(self._live.running())
        if self._live is not None:
            self._live.take(event)
        elif isinstance(line := event.get("line"), str) and (self._showing or event.get("event") == "text"):
            self.write(line, sys.stdout)
        elif event.get("event") in ("feed", "resync"):
            # For programs: one JSON object a line.
            self.write(json.dumps({name: value for name, value in event.items() if name != "id"}), sys.stdout)

    def _follows(self) -> bool:
        """Whether the terminal shows how far the present command is."""
        return self._showing or (sys.stdout.isatty() and self._folds(self._command))


def deadline_after(seconds: float) -> float:
    """The deadline for `Display.ask` that is `seconds` from now."""
    return time.monotonic() + seconds


def _elsewhere() -> str:
    from eccmgr.control.client.nearby import nearby

    return "".join(f"\nOn this host {daemon.program} listens; try: ec_console {daemon.endpoint}" for daemon in nearby())


def _form_named(command: str) -> Format | None:
    """The form that the first word of `command` asks for."""
    return FORMS.get("".join(command.split(maxsplit=1)[:1]).lower())


def folded(body: str, settings: DisplaySettings) -> "tuple[str, list[Outcome] | None]":
    """The JSON answer `body` as text, and the outcomes in it; None for an answer without nodes.

    Equal (or similar) responses are shown once, under all nodes that gave them; or the differences between them.
    """
    from cli.console.differences import differences
    from cli.console.groups import grouped
    from eccmgr.commands import node_lines

    try:
        fields = json.loads(body)
        text, nodes = str(fields["body"]), fields.get("nodes")
        if nodes is None:
            return text, None
        outcomes = [outcome_of(node) for node in nodes]
    except (ValueError, TypeError, KeyError, AttributeError):
        # A server of another kind answers what it likes.
        return body, None
    if settings.diff:
        lines = differences(grouped(outcomes, settings.folding).as_they_came)
    elif settings.folding is Folding.SIMILAR:
        lines = [group.line() for group in grouped(outcomes, settings.folding).as_they_came]
    else:
        lines = node_lines.folded(outcomes)
    return "\n".join((text.partition("\n")[0], *lines)), outcomes


def _colored(text: str) -> str:
    text = _BAD.sub(rf"\g<1>{_RED}\g<2>{_PLAIN}", text)
    text = _OPEN.sub(rf"\g<1>{_YELLOW}\g<2>{_PLAIN}", text)
    return _HEADER.sub(rf"{_BOLD}\g<1>{_PLAIN}", text)
