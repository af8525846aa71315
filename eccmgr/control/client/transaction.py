"""The console's knowledge of its session with a daemon: whether a transaction of the configuration is open there.

A session ends with its connection, and its transaction with it. A user who goes on typing would then change the live
configuration. So the console says what happened, and does not send the next `config` command. Pure.
"""

from eccmgr.commands.answer import FORMS
from eccmgr.errors import TransactionLost, UsageError
from eccmgr.text import words

_CHANGING = frozenset({"set", "unset", "commit", "rollback", "replay", "reload"})
_LOST = (
    "The transaction that was open is lost with its connection, which ends with the daemon and after an hour without a "
    "command; nothing was done. Begin it anew."
)
_UNKNOWN = (
    "The connection broke while the transaction was being committed: look with config get whether it was; nothing was "
    "done. If it was not, begin it anew."
)


def config_command(line: str) -> str | None:
    """The second word of a `config` command, in lower case; None for any other line."""
    typed: list[str] = []
    offset = 0
    while len(typed) < 3 and (offset := words.skip_space(line, offset)) < len(line):
        try:
            word = words.next_word(line, offset)
        except UsageError:
            break
        typed.append(word.text.lower())
        offset = word.end
    if typed and typed[0] in FORMS:
        del typed[0]
    return typed[1] if len(typed) > 1 and typed[0] == "config" else None


class OpenTransaction:
    """The transaction of one session. In a `script`, commands are sent before anybody reads the answers to earlier
    ones."""

    def __init__(self, *, script: bool = False) -> None:
        self._script = script
        self._is_open = False
        self._said = False
        self._sent: str | None = None
        self._lost = ""

    def allow(self, command: str | None) -> None:
        """Raises TransactionLost if a `config` command must not be sent, because the transaction that it was meant for
        is lost."""
        if command is None or not self._lost:
            return
        lost = self._lost
        # In a script all later commands of the transaction are refused too.
        if self._said and (command == "begin" or command not in _CHANGING):
            self._lost = "" if command == "begin" else lost
            return
        self._said = True
        if not self._script or command in ("commit", "rollback"):
            self._lost = ""
        raise TransactionLost(lost)

    def send(self, command: str | None) -> None:
        """Note that a command is about to be sent."""
        self._sent = command

    def answered(self, *, ok: bool) -> None:
        """The answer to the command has come."""
        if ok and self._sent in ("begin", "commit", "rollback"):
            self._is_open = self._sent == "begin"
        self._sent = None

    def broken(self) -> None:
        """The connection is lost, perhaps with a command under way."""
        if (self._is_open and self._sent != "rollback") or self._sent == "begin":
            self._lost, self._said = _UNKNOWN if self._sent == "commit" else _LOST, False
        self._is_open, self._sent = False, None
