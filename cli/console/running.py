"""Runs one line at the daemon and shows its answer; knows what ran last."""

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from cli.console.arguments import Arguments
from cli.console.asking import Asking
from cli.console.display import Display, deadline_after, folded
from cli.console.pager import Pager
from cli.console.watching import NotRepeated, TerminalStyle
from cli.terminal import is_dumb
from eccmgr.commands.answer import Exit, Format, split_form
from eccmgr.control.client.session import Client, Result
from eccmgr.errors import EccmgrError, NoAnswer, NoConnection


@dataclass(frozen=True)
class LastRun:
    """A line that ran; the id of what it sent to nodes, and that command without secrets (empty if it sent none)."""

    line: str = ""
    command_id: str = ""
    command: str = ""


class LineRunner:
    """Runs lines. `reached` is told after each whether the daemon was reached."""

    def __init__(self, client: Client, asked: Arguments, reached: Callable[[bool], None]) -> None:
        self._client, self._timeout_s, self._reached = client, asked.timeout_s, reached
        self._read_only = asked.read_only
        self.terminal = TerminalStyle(asked.color, redraws=not is_dumb(os.environ))
        self.display = Display(client, asked)
        self.display.says_id = True
        self.pager = Pager()
        self.is_timing = False
        self.last, self.last_gather = LastRun(), LastRun()
        self.left = ""
        """The command for which the user waited no longer, if nothing was run since."""

    def run(self, line: str, more: str = "") -> bool:
        """Run `line` and show its answer, with `more` behind it; answers whether all is well."""
        began, self.left = time.monotonic(), ""
        try:
            result, text = self.display.ask(line, deadline_after(self._timeout_s))
        except NoAnswer as error:
            self.complain(error)
            self.display.leave_off(answers=True, attach=True)
            self._note(line, reached=True)
        except EccmgrError as error:
            self.complain(error)
            self._note(line, reached=not isinstance(error, NoConnection))
        except KeyboardInterrupt:
            # The second Ctrl-C may come at once.
            self.left = self.display.command_id
            goes_on = "" if self.display.knows_the_way else "; a command that was sent goes on"
            self.say(f"Waiting no longer{goes_on}", problem=True)
            self.display.leave_off(answers=not self.display.is_showing, attach=True)
            self._note(line, reached=True)
        else:
            self._show(result, text + more)
            if self.is_timing:
                self.say(f"({time.monotonic() - began:.3f} s)")
            self._note(line, reached=True)
            return result.exit == Exit.OK
        return False

    def repeat(self, command: str) -> str:
        """The answer to `command`, which is not shown. Raises EccmgrError; NotRepeated if it would ask first."""
        questions: list[str] = []

        def refuse(question: str) -> str:
            questions.append(question)
            return ""

        asking = Asking(self._client, read_only=self._read_only, question=refuse)
        if (instead := asking.refusal(command, deadline_after(self._timeout_s))) is not None:
            raise NotRepeated("\\watch repeats nothing that asks before it runs" if questions else instead.body)
        settings = self.display.settings
        if settings.folds:
            return folded(self.fetch(command, Format.JSON).body, settings)[0]
        return self.fetch(command, Format.JSON if settings.json else Format.TEXT).body

    def fetch(self, command: str, form: Format = Format.TEXT) -> Result:
        """Run `command` and show nothing. Raises EccmgrError."""
        return self._client.ask(command, deadline_after(self._timeout_s), form)

    def say(self, text: str, *, problem: bool = False) -> None:
        """Show a line of the console's own."""
        self.display.write(text, sys.stderr if problem else sys.stdout, problem=problem)

    def complain(self, error: EccmgrError) -> None:
        """Show why something did not work."""
        self.say(f"ec_console: {error}", problem=True)

    def _show(self, result: Result, text: str) -> None:
        text = self.display.wrapped(text)
        if not self.pager.takes(text):
            self.display.show(result, text)
            return
        try:
            self.pager.show(text)
        except (OSError, ValueError) as error:
            self.display.write(text, sys.stdout)
            self.say(f"The pager does not run: {error}", problem=True)

    def _note(self, line: str, *, reached: bool) -> None:
        self.last = LastRun(line, self.display.command_id, self.display.sent_command)
        if self.last.command_id and _is_gather(line):
            self.last_gather = self.last
        self._reached(reached)


def _is_gather(line: str) -> bool:
    return split_form(line)[1].split(maxsplit=1)[:1] == ["gather"]
