"""Batch mode: runs one command, or the lines of standard input; prints answers and problems, and gives an exit code."""

import codecs
import errno
import itertools
import sys
from typing import BinaryIO

from cli.console.arguments import Arguments
from cli.console.display import Display, deadline_after
from eccmgr.commands.answer import Exit
from eccmgr.control.client.session import Client
from eccmgr.errors import NoAnswer, NoConnection, SignInFailed, TransactionLost

LEAVE = ("quit", "exit")
"""Words that end the console; they are never sent."""


class Batch:
    """Runs commands, and prints nothing but their answers to standard output."""

    def __init__(self, client: Client, asked: Arguments) -> None:
        self._display = Display(client, asked)
        if asked.read_only:
            from cli.console.asking import Asking

            self._display.asking = Asking(client, read_only=True)
        self._deadline = deadline_after(asked.timeout_s)
        for stream in (sys.stdout, sys.stderr):
            # The encoding of the locale may lack characters of an answer.
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]

    def run(self, command: str) -> int:
        """Run `command`; answers its exit code."""
        try:
            result, text = self._display.ask(command, self._deadline)
        except NoConnection as error:
            self._complain(str(error))
            return Exit.DENIED if isinstance(error, SignInFailed) else Exit.NO_CONNECTION
        except NoAnswer as error:
            self._complain(str(error))
            return Exit.PARTIAL if self._display.leave_off(answers=True) else Exit.FAILED
        except TransactionLost as error:
            self._complain(str(error))
            return Exit.FAILED
        except (KeyboardInterrupt, SystemExit):
            self._display.leave_off(answers=not self._display.is_showing)
            raise
        self._display.show(result, text)
        return result.exit

    def run_lines(self, lines: BinaryIO) -> int:
        """Run each line, even after a failure; answers the first exit code that is not 0."""
        first = 0
        for number in itertools.count():
            try:
                raw = lines.readline()
            except OSError as error:
                reason = "it is closed" if error.errno == errno.EBADF else error.strerror
                self._complain(f"standard input cannot be read: {reason}")
                return first or Exit.FAILED
            if not raw:
                break
            if not number and b"\0" in raw and raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                self._complain("Standard input is UTF-16; commands are read as UTF-8")
                return Exit.USAGE
            # An editor may have put a byte order mark before the first line.
            command = raw.removeprefix(b"" if number else codecs.BOM_UTF8).decode("utf-8", "surrogateescape").strip()
            if command.lower() in LEAVE:
                break
            if command:
                code = self.run(command)
                first = first or code
        return first

    def _complain(self, text: str) -> None:
        self._display.write(f"ec_console: {text}", sys.stderr, problem=True)
