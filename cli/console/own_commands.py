"""The table of the console's own commands: `\\watch` and the like. It feeds dispatch, usage errors, `\\help`, hints and
completion. Pure."""

import difflib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from cli.console.node_names import Offer
from eccmgr.errors import UsageError

_MARK = "\\"
_LIKENESS = 0.6
_SECONDS = re.compile(r"\s*\d+(\.\d+)?(?=\s)")


@dataclass(frozen=True)
class OwnCommand:
    """One command of the console itself. `act` gets the text behind the name, and raises UsageError if it does not
    fit; `words` are for completion."""

    name: str
    parameters: str
    brief: str
    act: Callable[[str], None]
    words: tuple[str, ...] = ()
    takes_command: bool = False

    @property
    def usage(self) -> str:
        """The one-line usage, without `Usage:`."""
        return f"{self.name} {self.parameters}".rstrip()


class OwnCommands:
    """The commands, found by name; `quit` is among them for the help alone."""

    def __init__(self, commands: Iterable[OwnCommand] = ()) -> None:
        self._by_name: dict[str, OwnCommand] = {}
        self.add(*commands)

    def add(self, *commands: OwnCommand) -> None:
        """Add `commands`."""
        self._by_name.update((command.name, command) for command in commands)

    def run(self, line: str) -> None:
        """Run `line`. Raises UsageError if it is none of the commands, or its words do not fit."""
        _, command, behind = self.split(line)
        if command is None:
            raise self._unknown(line)
        try:
            command.act(behind.strip())
        except UsageError as error:
            raise UsageError(str(error) or f"Usage: {command.usage}") from None

    def split(self, line: str) -> tuple[bool, OwnCommand | None, str]:
        """Whether `line` is for the console itself, the command that it begins with, and the text behind its name."""
        text = line.lstrip()
        if not text.startswith(_MARK):
            return False, None, line
        name = text.split(maxsplit=1)[0]
        return True, self._by_name.get(name.lower()), text[len(name) :]

    def carried(self, line: str) -> str | None:
        """The daemon's command in `line` (`pid` in `\\watch 5 pid`); None if its own command takes none."""
        _, command, behind = self.split(line)
        if command is None or not command.takes_command or not behind:
            return None
        return _SECONDS.sub("", behind, count=1).lstrip()

    def offers(self, part: str) -> list[Offer]:
        """The commands whose names begin with `part`."""
        fitting = (command for name, command in self._by_name.items() if name.startswith(part.lower()))
        return [Offer(command.name, remark=command.brief) for command in fitting]

    def suggestion(self, line: str) -> str:
        """The name of a command that is close to the mistyped one in `line`; empty if none is."""
        return next(iter(difflib.get_close_matches(line.split()[0].lower(), self._by_name, 1, _LIKENESS)), "")

    def help(self) -> str:
        """The commands, one line each."""
        width = max((len(command.usage) for command in self._by_name.values()), default=0)
        return "\n".join(f"{command.usage:<{width}}  {command.brief}" for command in self._by_name.values())

    def _unknown(self, line: str) -> UsageError:
        close = self.suggestion(line)
        hint = f" Did you mean {close}?" if close else ""
        return UsageError(f"Unknown: '{line.split()[0]}'.{hint} \\help lists what the console itself has")


def switched(text: str, now: bool) -> bool:
    """The state of a switch after `\\NAME [on|off]`. Raises UsageError with an empty text for any other word."""
    match text.lower():
        case "":
            return not now
        case "on":
            return True
        case "off":
            return False
        case _:
            raise UsageError("")
