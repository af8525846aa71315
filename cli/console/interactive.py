"""Interactive mode: banner, prompt, and the loop that runs what is typed."""

import sys
import time

from prompt_toolkit.input import Input
from prompt_toolkit.output import Output

from cli.console.arguments import Arguments
from cli.console.asking import Asking
from cli.console.batch import LEAVE
from cli.console.completer import LexiconCompleter
from cli.console.display import deadline_after
from cli.console.hints import Hint, hint
from cli.console.history import history_path, open_history
from cli.console.keeping import LexiconKeeper
from cli.console.own_commands import OwnCommands
from cli.console.own_table import OwnTable
from cli.console.prompt import Pasted, Prompt, PromptState
from cli.console.running import LineRunner
from eccmgr.commands.answer import Exit
from eccmgr.control.client.session import Client
from eccmgr.errors import EccmgrError, NoConnection, SignInFailed, UsageError
from eccmgr.text.counting import counted

_PASTED_SHOWN, _PASTED_MAX = 20, 1000


class Interactive:
    """A console on a terminal; a test gives it an `input` and `output` of its own."""

    def __init__(
        self, client: Client, asked: Arguments, terminal_input: Input | None = None, output: Output | None = None
    ) -> None:
        self._asked = asked
        self._client = client
        self._runner = LineRunner(client, asked, lambda reached: self._keeper.used(reached=reached))
        self._keeper = LexiconKeeper(client.twin, self._notice_change)
        self._own = OwnCommands()
        self._prompt = Prompt(
            self._state,
            self._hint,
            LexiconCompleter(lambda: self._keeper.lexicon, self._keeper.ask, self._own),
            open_history(history_path()),
            color=asked.color,
            terminal_input=terminal_input,
            output=output,
        )
        self._runner.display.asking = Asking(client, read_only=asked.read_only, question=self._prompt.ask)
        self._own.add(*OwnTable(self._own, self._runner, self._prompt, self._run_line).commands())

    def run(self) -> int:
        """Greet, then answer commands until `quit` or the end of input; answers the exit code."""
        display = self._runner.display
        try:
            result, banner = display.ask("version", deadline_after(self._asked.timeout_s))
        except EccmgrError as error:
            self._runner.complain(error)
            if isinstance(error, SignInFailed):
                return Exit.DENIED
            return Exit.NO_CONNECTION if isinstance(error, NoConnection) else Exit.FAILED
        if result.exit != Exit.DENIED:  # a caller whose roles do not allow version has no banner
            display.show(result, banner)
        routes = (self._asked.route, *(place.route for place in self._asked.others))
        if not any(route.startswith("ssh://") for route in routes):
            # ssh may ask for a password at the terminal, so it connects only when the user waits for it.
            self._keeper.start()
        try:
            while self._goes_on():
                pass
        finally:
            self._keeper.close()
        return Exit.OK

    def _goes_on(self) -> bool:
        try:
            return self._obey()
        except KeyboardInterrupt:  # at the prompt, or between two prompts
            if left := self._runner.left:
                # The second Ctrl-C; abort asks before it does anything.
                self._runner.run(f"abort {left}")
            return True
        except EOFError:
            return False

    def _obey(self) -> bool:
        """Read what is typed, and run it; answers False at the end."""
        self._tell_notices()
        typed = self._prompt.read()
        if isinstance(typed, Pasted):
            return self._run_pasted(typed.lines)
        if typed.lower() in LEAVE:
            return False
        if typed:
            self._run_line(typed)
        return True

    def _run_line(self, line: str) -> bool:
        """Run one line, at the daemon or here; answers whether all is well."""
        if line.startswith("\\"):
            try:
                self._own.run(line)
            except UsageError as error:
                self._runner.say(str(error), problem=True)
                return False
            return True
        return self._runner.run(
            line, f"\n\nOn the console itself:\n{self._own.help()}" if line.lower() == "help" else ""
        )

    def _run_pasted(self, lines: tuple[str, ...]) -> bool:
        """Show pasted lines, and run them if the user agrees, up to the first one that fails; answers False at the
        end."""
        if len(lines) > _PASTED_MAX:
            too_many = (
                f"{len(lines)} lines were pasted, more than {_PASTED_MAX}; put them into a file: ec_console < FILE"
            )
            self._runner.say(too_many, problem=True)
            return True
        more = [f"  … {len(lines) - _PASTED_SHOWN} more"] if len(lines) > _PASTED_SHOWN else []
        self._runner.say("\n".join([*(f"  {line}" for line in lines[:_PASTED_SHOWN]), *more]))
        if self._prompt.ask(f"Run these {counted(len(lines), 'line')} one by one? [y/N] ").lower() not in ("y", "yes"):
            self._runner.say("Nothing was run")
            return True
        for number, line in enumerate(lines, 1):
            self._runner.say("".join(text for _, text, *_ in self._state().fragments()) + line)
            if line.lower() in LEAVE:
                return False
            self._prompt.remember(line)
            if not self._run_line(line) and number < len(lines):
                self._runner.say(f"Not run after that: {counted(len(lines) - number, 'line')}", problem=True)
                break
        return True

    def _state(self) -> PromptState:
        # While no command has connected again, the keeper knows better which of several managers can be reached.
        endpoint = self._client.endpoint if self._client.is_open else self._keeper.endpoint
        return PromptState(time.strftime("%H:%M:%S"), str(endpoint), self._keeper.cut_off)

    def _hint(self, line: str) -> Hint:
        lexicon = self._keeper.lexicon
        return hint(line, lexicon.table if lexicon is not None else None, self._own)

    def _notice_change(self) -> None:
        """The daemon was cut off, or found again, or is known now; the keeper's thread calls this."""
        if self._keeper.notices:
            self._prompt.show_above(self._tell_notices)
        else:
            self._prompt.draw_again()

    def _tell_notices(self) -> None:
        while self._keeper.notices:
            self._runner.say(self._keeper.notices.popleft())
        sys.stdout.flush()
