"""How answers are shown: streams, folding, colours on a terminal, and nothing that could steer the terminal."""

import json
import re
import shutil
import sys
import time
from collections.abc import Mapping
from typing import Any, TextIO

from cli.console.arguments import Arguments
from eccmgr.commands.answer import Format, Status
from eccmgr.control.client import Client, Result
from eccmgr.errors import NoConnection

_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_BAD = re.compile(r"^(\S+: )((?:failed|refused):|\((?:lost|missed|skipped|aborted|absent[^)\n]*)\))", re.MULTILINE)
_OPEN = re.compile(r"^(\S+: )(\((?:pending|running),[^)]*\))$", re.MULTILINE)
_HEADER = re.compile(r"^(# [0-9A-Z]{12}  .*)$", re.MULTILINE)
_RED, _YELLOW, _BOLD, _PLAIN = "\x1b[31m", "\x1b[33m", "\x1b[1m", "\x1b[0m"


class Display:
    """Asks on a client and shows what comes: answers on standard output, problems on standard error."""

    def __init__(self, client: Client, asked: Arguments) -> None:
        self._client = client
        self._asked = asked

    def ask(self, command: str, deadline: float) -> tuple[Result, str]:
        """Run `command`; its result and the text to show for it (what a stream has shown already left out).

        Raises NoConnection, which names the daemons of this host where nobody said which is meant, and NoAnswer.
        """
        try:
            return self._ask(command, deadline)
        except NoConnection as error:
            if self._asked.named:
                raise
            raise NoConnection(f"{error}{_elsewhere()}") from None

    def _ask(self, command: str, deadline: float) -> tuple[Result, str]:
        folding = self._asked.fold and not _names_a_form(command)
        if self._asked.json or folding:
            result = self._client.ask(command, deadline, Format.JSON)
            return result, _folded(result.body) if folding and not self._asked.json else result.body
        # On a terminal responses are shown as they come; a script gets them in order of name.
        on_event = self._show_event if sys.stdout.isatty() and not _names_a_form(command) else None
        width = shutil.get_terminal_size().columns if on_event is not None else 80
        result = self._client.ask(command, deadline, Format.TEXT, on_event, width)
        return result, result.body

    def show(self, result: Result, text: str) -> None:
        """Print an answer, or what was wrong."""
        problem = result.status in (Status.ERROR, Status.DENIED) and not self._asked.json
        if text:
            self.write(text, sys.stderr if problem else sys.stdout, problem=problem)

    def write(self, text: str, stream: TextIO, *, problem: bool = False) -> None:
        """Print `text` and a newline; on a terminal with colours and without control characters."""
        if stream.isatty():
            text = _CONTROLS.sub(lambda found: _visible(found.group()), text)
            if self._asked.color:
                text = f"{_RED}{text}{_PLAIN}" if problem else _colored(text)
        stream.write(text + "\n")
        stream.flush()

    def _show_event(self, event: Mapping[str, Any]) -> None:
        if isinstance(line := event.get("line"), str):
            self.write(line, sys.stdout)


def deadline_after(seconds: float) -> float:
    """The moment `seconds` from now, as `Display.ask` takes it."""
    return time.monotonic() + seconds


def _elsewhere() -> str:
    from eccmgr.control.nearby import nearby

    return "".join(f"\nOn this host {each.program} listens; try: ec_console {each.path}" for each in nearby())


def _names_a_form(command: str) -> bool:
    return command.split(maxsplit=1)[:1] in (["json"], ["xml"])


def _folded(body: str) -> str:
    """The JSON answer `body` as text; responses of nodes once each, under the nodes that gave them."""
    from datetime import datetime

    from eccmgr.cluster.results import Outcome, State
    from eccmgr.commands.rendering import folded

    fields = json.loads(body)
    text: str = fields["body"]
    nodes = fields.get("nodes")
    if nodes is None:
        return text
    outcomes = [
        Outcome(
            *(each["node"], "", State(each["state"]), each["seconds"], each["text"]),
            *(each.get("late"), each.get("job", "")),
            int(datetime.fromisoformat(each["since"]).timestamp() * 1000) if each.get("since") else None,
        )
        for each in nodes
    ]
    return "\n".join((text.partition("\n")[0], *folded(outcomes)))


def _visible(control: str) -> str:
    return f"^{chr(ord(control) + 64)}" if ord(control) < 32 else f"\\x{ord(control):02x}"


def _colored(text: str) -> str:
    text = _BAD.sub(rf"\g<1>{_RED}\g<2>{_PLAIN}", text)
    text = _OPEN.sub(rf"\g<1>{_YELLOW}\g<2>{_PLAIN}", text)
    return _HEADER.sub(rf"{_BOLD}\g<1>{_PLAIN}", text)
