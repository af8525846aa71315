"""Asks the operator before a line does harm, and refuses in a read-only console what changes something.

The daemon knows which line does what: its command `describe` answers that, and runs nothing.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from eccmgr.commands.answer import Answer, Exit, Format, Status, split_form
from eccmgr.control.client.session import Client, Result
from eccmgr.text.unseen import visible_line

_DESCRIBE = "describe"
_UNKNOWN = f"Unknown command: '{_DESCRIBE}'"
_NOT_SENT = "Nothing was sent"
_YES = ("y", "yes")
_SHOWN_MAX = 80

Question = Callable[[str], str]
"""Shows a question on the terminal, and answers what was typed; KeyboardInterrupt and EOFError mean no."""


class Asking:
    """Decides about each line before it is sent."""

    def __init__(self, client: Client, *, read_only: bool = False, question: Question | None = None) -> None:
        """Without a `question` nobody is asked, as in batch mode."""
        self._client = client
        self._read_only, self._question = read_only, question

    def refusal(self, line: str, deadline: float, form: Format = Format.TEXT) -> Result | None:
        """The result to show in place of sending `line`; None if `line` may be sent.

        Raises what `Client.ask` raises.
        """
        if not self._read_only and self._question is None:
            return None
        described = self._client.ask(f"{_DESCRIBE} {line}", deadline, Format.JSON)
        facts = _facts(described)
        if described.exit != Exit.OK or "danger" not in facts:
            return self._not_described(line, str(facts.get("body", described.body)), described, form)
        if self._read_only and facts["changes"]:
            return _error(line, f"Read-only console: '{_shown(line)}' may change something, so it was not sent", form)
        if self._question is None or facts["danger"] == "none" or _agrees(self._question, facts):
            return None
        return Result(Status.OK, Exit.FAILED, _NOT_SENT)

    def _not_described(self, line: str, reason: str, described: Result, form: Format) -> Result | None:
        if not self._read_only:
            # A daemon of an earlier release has no describe, and one that does not know its caller describes nothing.
            # For any other reason the line would be refused too.
            if reason.startswith(_UNKNOWN) or described.status is Status.DENIED:
                return None
            return Result(described.status, described.exit, reason)
        if reason.startswith(_UNKNOWN):
            reason = "Read-only console: this daemon cannot say what a command changes, so nothing is sent to it"
        return _error(line, reason, form, described)


def _agrees(question: Question, facts: Mapping[str, Any]) -> bool:
    expected = str(facts["expected"]) if facts["danger"] == "asks_number" else ""
    way = f"Type {expected} to go on: " if expected else "Go on? [y/N] "
    try:
        typed = question(visible_line(f"{facts['what']}. {way}")).strip()
    except (KeyboardInterrupt, EOFError):
        return False
    return typed == expected if expected else typed.lower() in _YES


def _facts(described: Result) -> Mapping[str, Any]:
    try:
        facts = json.loads(described.body)
    except ValueError:
        return {}
    return facts if isinstance(facts, dict) else {}


def _shown(line: str) -> str:
    """A line without the secrets that it may hold."""
    # Imported only here: it loads the schema of the configuration.
    from eccmgr.commands.secrets import without_secrets

    return without_secrets(line)[:_SHOWN_MAX]


def _error(line: str, text: str, form: Format, described: Result | None = None) -> Result:
    """A refusal in the form that was asked for."""
    asked, command = split_form(line, form)
    body = Answer(text, Status.ERROR).render(asked, _shown(command))
    if described is None or described.exit == Exit.OK:
        return Result(Status.ERROR, Exit.FAILED, body)
    return Result(described.status, described.exit, body)
