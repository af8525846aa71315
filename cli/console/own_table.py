"""The console's own commands, and what each of them does."""

import shutil
from collections.abc import Callable
from dataclasses import replace

from cli.console.comparing import told
from cli.console.likeness import Folding
from cli.console.own_commands import OwnCommand, OwnCommands, switched
from cli.console.prompt import Prompt
from cli.console.reports import KeptReport, read_report, run_before
from cli.console.resending import CHOICES, chosen, nothing_chosen, sent_anew, why
from cli.console.running import LastRun, LineRunner
from cli.console.watching import NotRepeated, watch, watched
from cli.console.wrapping import wrapped
from eccmgr.commands.answer import Format
from eccmgr.control.client.session import Result
from eccmgr.errors import EccmgrError, UsageError
from eccmgr.text.counting import counted

_HISTORY_SHOWN = 50
_HISTORY_READ = 1000
_FOLDED = {
    Folding.OFF: "Identical answers are shown each",
    Folding.ON: "Identical answers are shown once",
    Folding.SIMILAR: "Answers that differ only in numbers or in the node's name are shown once",
}


class OwnTable:
    """Makes the table. `run_line` runs a line as if it were typed."""

    def __init__(self, own: OwnCommands, runner: LineRunner, prompt: Prompt, run_line: Callable[[str], bool]) -> None:
        self._own, self._runner, self._prompt, self._run_line = own, runner, prompt, run_line

    def commands(self) -> tuple[OwnCommand, ...]:
        """The commands, in the order of `\\help`."""
        on_off = ("on", "off")
        return (
            OwnCommand("\\help", "", "this list", self._help),
            OwnCommand(
                *("\\watch", "[S] [COMMAND]", "run COMMAND, or the last one, every S seconds; marks what changed"),
                *(self._watch, (), True),
            ),
            OwnCommand(
                *("\\again", "[failed|lost|silent|skipped]", "send the last gather anew, to those nodes alone"),
                *(self._again, tuple(CHOICES)),
            ),
            OwnCommand("\\compare", "", "which nodes answered the last gather differently than before", self._compare),
            OwnCommand("\\history", "[TEXT]", "the lines that were typed, or those with TEXT", self._history),
            OwnCommand(
                *("\\fold", "[on|off|similar]", "show identical answers once, or those that differ only in numbers"),
                *(self._fold, tuple(Folding)),
            ),
            OwnCommand("\\diff", "[on|off]", "show where answers differ from most", self._diff, on_off),
            OwnCommand("\\json", "[on|off]", "show answers as JSON objects", self._json, on_off),
            OwnCommand("\\timing", "[on|off]", "show how long each command took", self._timing, on_off),
            OwnCommand("\\pager", "[PROGRAM]", "show long answers through a pager, or no longer", self._pager),
            OwnCommand("\\emacs", "", "keys as in emacs (as at first)", lambda text: self._keys("emacs", text)),
            OwnCommand("\\vi", "", "keys as in vi", lambda text: self._keys("vi", text)),
            OwnCommand("quit", "", "leave the console (so does Ctrl-D); Ctrl-C ends a wait", self._leave),
        )

    def _help(self, text: str) -> None:
        _no_words(text)
        self._runner.say(wrapped(self._own.help(), shutil.get_terminal_size().columns))

    def _watch(self, text: str) -> None:
        every_s, command = watched(text, self._runner.last.line)
        self._runner.last = LastRun(command)
        try:
            watch(self._runner.repeat, every_s, command, self._runner.terminal)
        except NotRepeated as error:
            self._runner.say(str(error), problem=True)

    def _again(self, text: str) -> None:
        word, last = text.lower(), self._runner.last_gather
        if word and word not in CHOICES:
            raise UsageError("")
        if (report := self._report(last.command_id)) is None:
            return
        meant = chosen(report.nodes, word)
        if not meant:
            self._runner.say(nothing_chosen(report.id, len(report.nodes), word))
            return
        line = sent_anew(last.line, last.command, [answer.node for answer in meant])
        number = f"{len(meant)} of {counted(len(report.nodes), 'node')}"
        self._runner.say(f"Anew, under a new id, to {number} of {report.id} ({why(meant)}):\n{line}")
        self._prompt.remember(line)
        self._run_line(line)

    def _compare(self, text: str) -> None:
        _no_words(text)
        if (now := self._report(self._runner.last_gather.command_id)) is None:
            return
        past = self._fetched(f"history {_HISTORY_READ}")
        before_id = run_before(past.body, now.id) if past is not None else ""
        if not before_id:
            self._runner.say(f"No run of the same command before {now.id} is kept")
        elif (before := self._report(before_id)) is not None:
            self._runner.say(told(before, now))

    def _report(self, command_id: str) -> KeptReport | None:
        """The report of a gather as it is now; without it, the user is told why."""
        if not command_id:
            self._runner.say("No gather was sent from here yet", problem=True)
            return None
        result = self._fetched(f"retrieve {command_id}")
        report = read_report(result.body) if result is not None else None
        if result is not None and report is None:
            self._runner.say(f"The answers to {command_id} are no longer kept", problem=True)
        return report

    def _fetched(self, command: str) -> Result | None:
        try:
            return self._runner.fetch(command, Format.JSON)
        except EccmgrError as error:
            self._runner.complain(error)
        except KeyboardInterrupt:
            self._runner.say("Waiting no longer", problem=True)
        return None

    def _history(self, text: str) -> None:
        # Imported only here: the console starts sooner without the schema.
        from eccmgr.commands.secrets import without_secrets

        earlier = self._prompt.typed_before()[:-1]  # the last one is this command
        lines = [without_secrets(line) for line in earlier if text.lower() in line.lower()]
        self._runner.say("\n".join(lines[-_HISTORY_SHOWN:]) or f"No line with '{text}' was typed")

    def _fold(self, text: str) -> None:
        word = text.lower()
        if word and word not in tuple(Folding):
            raise UsageError("")
        display, turned = self._runner.display, Folding.ON
        if display.settings.folding is not Folding.OFF:
            turned = Folding.OFF
        display.settings = replace(display.settings, folding=Folding(word) if word else turned)
        self._runner.say(_FOLDED[display.settings.folding])

    def _diff(self, text: str) -> None:
        display = self._runner.display
        display.settings = replace(display.settings, diff=switched(text, now=display.settings.diff))
        self._runner.say(f"Answers are shown {'by their differences' if display.settings.diff else 'as they are'}")

    def _json(self, text: str) -> None:
        display = self._runner.display
        display.settings = replace(display.settings, json=switched(text, now=display.settings.json))
        self._runner.say(f"Answers are {'JSON' if display.settings.json else 'text'}")

    def _timing(self, text: str) -> None:
        self._runner.is_timing = switched(text, now=self._runner.is_timing)
        self._runner.say(f"Timing is {'on' if self._runner.is_timing else 'off'}")

    def _pager(self, text: str) -> None:
        self._runner.say(self._runner.pager.turn(text))

    def _keys(self, editor: str, text: str) -> None:
        _no_words(text)
        self._prompt.edit_like(editor)
        self._runner.say(f"Keys are as in {editor}")

    def _leave(self, _text: str) -> None:
        raise AssertionError("the loop itself ends at quit")


def _no_words(text: str) -> None:
    if text:
        raise UsageError("")
