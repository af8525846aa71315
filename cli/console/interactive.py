"""Interactive mode: banner, prompt, line editing with history and completion, a pager."""

import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.input import Input
from prompt_toolkit.layout.processors import Processor, Transformation, TransformationInput
from prompt_toolkit.output import Output

from cli.console.arguments import Arguments
from cli.console.batch import LEAVE
from cli.console.display import Display, deadline_after
from eccmgr.commands.answer import Exit
from eccmgr.control.client.session import Client
from eccmgr.errors import EccmgrError, NoAnswer, NoConnection, SignInFailed
from eccmgr.host.safe_open import open_file
from eccmgr.text.unseen import unseen_marked, visible_line, visible_lines
from eccmgr.text.words import quote

_HISTORY_MAX_BYTES = 256 * 1024
_COMPLETION_WAIT_S = 2.0
_PAGER = "less -FRX"
_OWN_HELP = """
On the console itself:
\\pager [PROGRAM]                         show long answers through a pager, or no longer
quit                                     leave the console (so does Ctrl-D); Ctrl-C ends a wait"""


class Interactive:
    """A console on a terminal; a test gives it an `input` and `output` of its own."""

    def __init__(
        self, client: Client, asked: Arguments, terminal_input: Input | None = None, output: Output | None = None
    ) -> None:
        self._asked = asked
        self._endpoint = client.endpoint
        self._display = Display(client, asked)
        self._pager = ""
        self._completer = ServerCompleter(Client(client.endpoint, client.server_user, dial=client.dial))
        self._prompt: PromptSession[str] = PromptSession(
            self._prompt_text,
            history=open_history(history_path()),
            completer=self._completer,
            complete_while_typing=False,
            complete_in_thread=True,
            input_processors=[UnseenInput()],
            input=terminal_input,
            output=output,
        )

    def run(self) -> int:
        """Greet, then answer commands until `quit` or the end of input; answers the exit code."""
        try:
            result, banner = self._display.ask("version", deadline_after(self._asked.timeout_s))
        except EccmgrError as error:
            self._complain(error)
            if isinstance(error, SignInFailed):
                return Exit.DENIED
            return Exit.NO_CONNECTION if isinstance(error, NoConnection) else Exit.FAILED
        if result.exit != Exit.DENIED:  # a caller whose roles do not allow version has no banner
            self._display.show(result, banner)
        try:
            while (line := self._read()) is not None:
                self._obey(line)
        finally:
            self._completer.close()
        return Exit.OK

    def _read(self) -> str | None:
        """The next line that is not blank; None at the end."""
        while True:
            try:
                line = self._prompt.prompt().strip()
            except KeyboardInterrupt:
                continue
            except EOFError:
                return None
            if line.lower() in LEAVE:
                return None
            if line:
                return line

    def _obey(self, line: str) -> None:
        if line.startswith("\\"):
            self._own_command(line)
            return
        try:
            result, text = self._display.ask(line, deadline_after(self._asked.timeout_s))
        except NoAnswer as error:
            self._complain(error)
            self._display.leave_off(answers=True)
        except EccmgrError as error:
            self._complain(error)
        except KeyboardInterrupt:
            goes_on = "" if self._display.knows_the_way else "; a command that was sent goes on"
            self._display.write(f"Waiting no longer{goes_on}", sys.stderr)
            self._display.leave_off(answers=not self._display.is_showing)
        else:
            if line.lower() == "help":
                text += _OWN_HELP
            if self._pager and text.count("\n") >= shutil.get_terminal_size().lines - 1:
                self._page(text)
            else:
                self._display.show(result, text)

    def _own_command(self, line: str) -> None:
        word, _, program = line.partition(" ")
        if word != "\\pager":
            self._display.write(f"Unknown: '{word}'. The console itself has: \\pager", sys.stderr, problem=True)
            return
        turned_off = bool(self._pager) and not program.strip()
        self._pager = "" if turned_off else program.strip() or os.environ.get("PAGER") or _PAGER
        self._display.write(f"Long answers go through {self._pager}" if self._pager else "No pager", sys.stdout)

    def _page(self, text: str) -> None:
        try:
            # A pager passes control characters on, at least the escapes of colours.
            shown = visible_lines(text)
            subprocess.run(shlex.split(self._pager), input=shown, text=True, errors="replace", check=False)  # noqa: S603
        except (OSError, ValueError) as error:
            self._display.write(text, sys.stdout)
            self._display.write(f"The pager does not run: {error}", sys.stderr, problem=True)
        except KeyboardInterrupt:
            pass

    def _complain(self, error: EccmgrError) -> None:
        self._display.write(f"ec_console: {error}", sys.stderr, problem=True)

    def _prompt_text(self) -> str:
        return f"{time.strftime('%H:%M:%S')} {visible_line(str(self._endpoint))}> "


class UnseenInput(Processor):
    """Shows what nobody sees in the typed line: pasted characters must not reorder or hide what is about to run."""

    def apply_transformation(self, transformation_input: TransformationInput) -> Transformation:
        """The same fragments, of the same length."""
        return Transformation(
            [(style, unseen_marked(text), *more) for style, text, *more in transformation_input.fragments]  # type: ignore[misc]
        )


class ServerCompleter(Completer):
    """Asks the listener for the words that may follow. It has a connection of its own, so no running command delays
    it."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def get_completions(
        self,
        document: Document,
        complete_event: CompleteEvent,  # noqa: ARG002
    ) -> Iterable[Completion]:
        """The words that fit at the cursor; no words if the listener does not answer."""
        line = document.text_before_cursor
        try:
            answer = self._client.ask(f"complete {quote(line)}", deadline_after(_COMPLETION_WAIT_S))
        except EccmgrError:
            return
        typed = "" if not line or line[-1].isspace() else line.split()[-1]
        for word in answer.body.split("\n") if answer.exit == Exit.OK and answer.body else ():
            if word.isprintable():
                yield Completion(word + " ", start_position=-len(typed), display=word)

    def close(self) -> None:
        """Close its connection."""
        self._client.close()


def history_path() -> Path:
    """The file of the typed lines: `console_history` in the user's state folder."""
    base = os.environ.get("XDG_STATE_HOME") or str(Path("~/.local/state").expanduser())
    return Path(base) / "eccmgr" / "console_history"


def open_history(path: Path) -> History:
    """The history in `path`, cut to its latest part if it has grown; in memory if the file cannot be used."""
    try:
        # Commands may hold private things; and HOME may be the folder of a user who becomes root by it.
        descriptor = open_file(path, os.O_RDWR | os.O_CREAT, made=[], folder_mode=0o700)
        with open(descriptor, "r+b") as file:
            if os.fstat(descriptor).st_size > _HISTORY_MAX_BYTES:
                file.seek(-(_HISTORY_MAX_BYTES // 2), os.SEEK_END)
                kept = file.read()
                file.seek(0)
                file.truncate()
                # An entry is an empty line, a `# time` line, and lines that begin with `+`.
                file.write(kept[kept.find(b"\n#") :])
    except (OSError, RuntimeError):
        return InMemoryHistory()
    return MaskedHistory(str(path))


class MaskedHistory(FileHistory):
    """The history of a console. The file never holds a secret that a command sets; within this session, the console
    still recalls it."""

    def store_string(self, string: str) -> None:
        """Add a typed line to the file."""
        # Imported only here: the console starts sooner without the schema.
        from eccmgr.commands.secrets import without_secrets

        super().store_string(without_secrets(string))
