"""The console's own commands, and what each of them does."""

from collections.abc import Callable

from cli.console.own_commands import OwnCommand, OwnCommands, switched
from cli.console.prompt import Prompt
from cli.console.running import LineRunner
from eccmgr.errors import UsageError

_HISTORY_SHOWN = 50


class OwnTable:
    """Makes the table. `run_line` runs a line as if it were typed."""

    def __init__(self, own: OwnCommands, runner: LineRunner, prompt: Prompt, run_line: Callable[[str], bool]) -> None:
        self._own, self._runner, self._prompt, self._run_line = own, runner, prompt, run_line

    def commands(self) -> tuple[OwnCommand, ...]:
        """The commands, in the order of `\\help`."""
        on_off = ("on", "off")
        return (
            OwnCommand("\\help", "", "this list", self._help),
            OwnCommand("\\history", "[TEXT]", "the lines that were typed, or those with TEXT", self._history),
            OwnCommand("\\fold", "on|off", "show identical answers once, under their nodes", self._fold, on_off),
            OwnCommand("\\json", "[on|off]", "show answers as JSON objects", self._json, on_off),
            OwnCommand("\\timing", "[on|off]", "show how long each command took", self._timing, on_off),
            OwnCommand("\\pager", "[PROGRAM]", "show long answers through a pager, or no longer", self._pager),
            OwnCommand("\\emacs", "", "keys as in emacs (as at first)", lambda text: self._keys("emacs", text)),
            OwnCommand("\\vi", "", "keys as in vi", lambda text: self._keys("vi", text)),
            OwnCommand("quit", "", "leave the console (so does Ctrl-D); Ctrl-C ends a wait", self._leave),
        )

    def _help(self, text: str) -> None:
        _no_words(text)
        self._runner.say(self._own.help())

    def _history(self, text: str) -> None:
        # Imported only here: the console starts sooner without the schema.
        from eccmgr.commands.secrets import without_secrets

        lines = [without_secrets(line) for line in self._prompt.typed_before() if text.lower() in line.lower()]
        self._runner.say("\n".join(lines[-_HISTORY_SHOWN:]) or f"No line with '{text}' was typed")

    def _fold(self, text: str) -> None:
        self._runner.display.fold(switched(text, now=self._runner.display.folds))
        self._runner.say(f"Identical answers are shown {'once' if self._runner.display.folds else 'each'}")

    def _json(self, text: str) -> None:
        self._runner.display.speak_json(switched(text, now=self._runner.display.speaks_json))
        self._runner.say(f"Answers are {'JSON' if self._runner.display.speaks_json else 'text'}")

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
