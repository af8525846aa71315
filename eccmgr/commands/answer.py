"""The answer of a command, and its three forms: text, JSON, XML."""

import enum
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from eccmgr.text.unseen import json_escaped, xml_escaped


class Status(enum.StrEnum):
    """The result of a command."""

    OK = "ok"
    """The command succeeded."""
    ERROR = "error"
    """The command was refused or failed."""
    DENIED = "denied"
    """The caller is unknown, or may not run the command."""
    PARTIAL = "partial"
    """Some nodes did not answer, or answered with an error."""


NOT_CONCERNED = "not concerned"
"""A node's answer to a command that reaches the node but does not concern it."""


class Exit(enum.IntEnum):
    """The console's exit codes in batch mode."""

    OK = 0
    FAILED = 1
    USAGE = 2
    PARTIAL = 3
    NO_CONNECTION = 4
    DENIED = 5


class Format(enum.StrEnum):
    """The forms of an answer."""

    TEXT = "text"
    JSON = "json"
    XML = "xml"


FORMS = {form.value: form for form in (Format.JSON, Format.XML)}
"""The forms that a word before a command may ask for."""


_FORM = re.compile(r"[ \t]*+(json|xml)(?:[ \t]++|\Z)(.*?)[ \t]*\Z", re.IGNORECASE | re.DOTALL)


def split_form(line: str, form: Format = Format.TEXT) -> tuple[Format, str]:
    """Split `line` into the form that its first word names (`form` if it names none) and the command that follows."""
    typed = _FORM.match(line)
    return (FORMS[typed[1].lower()], typed[2]) if typed is not None else (form, line)


_EXIT_OF = {
    Status.OK: Exit.OK,
    Status.ERROR: Exit.FAILED,
    Status.DENIED: Exit.DENIED,
    Status.PARTIAL: Exit.PARTIAL,
}


Facts = dict[str, Any]
"""The fields of an answer's JSON form."""


@dataclass(frozen=True)
class Answer:
    """An answer before it is rendered in a form.

    `text` is the text form, for a person. `facts` are the further fields of the JSON form; if they hold `nodes`, the
    XML form lists the nodes. `is_xml`: `text` is XML already. `structured`:
    the XML form shows all facts in place of the text. `tail`, if given, is the rest of the text for a client
    that has already been shown the responses as they arrived.
    """

    text: str
    status: Status = Status.OK
    usage: bool = False
    facts: Mapping[str, Any] = field(default_factory=dict)
    is_xml: bool = False
    structured: bool = False
    tail: str | None = None
    undone: bool = False
    """Whether Redis was unreachable before anything was done: a retry then cannot run the command twice."""

    @property
    def exit(self) -> Exit:
        """The exit code of a console in batch mode."""
        return Exit.USAGE if self.usage else _EXIT_OF[self.status]

    def render(self, form: Format, command: str) -> str:
        """Render the answer to `command` in `form`."""
        match form:
            case Format.TEXT:
                return self.text
            case Format.JSON:
                return self._json(command)
            case Format.XML:
                return self._xml(command)

    def _json(self, command: str) -> str:
        head = {"command": command, "status": self.status.value, "body": self.text}
        return json_escaped(json.dumps({**head, **self.facts}, ensure_ascii=False))

    def _xml(self, command: str) -> str:
        if self.is_xml:
            # A module, or a program behind a bridge, may have made this XML.
            return xml_escaped(_NOT_XML.sub("\ufffd", self.text))
        nodes: Sequence[Mapping[str, Any]] | None = self.facts.get("nodes")
        # Imported only here: a console in batch mode does without it.
        from eccmgr.commands.structured import attributes, elements

        if self.structured:
            body = elements(self.facts) + "\n"
        else:
            body = xml_text(self.text) if nodes is None else "".join(_response(node) for node in nodes) + "\n"
        head = f"Command={xml_attribute(command)} Status={xml_attribute(self.status.value)}"
        return f"<Answer {head}{attributes(self.facts, ('Command', 'Status'))}>{body}</Answer>"


def _response(node: Mapping[str, Any]) -> str:
    name, state = xml_attribute(node["node"]), xml_attribute(node["state"])
    return f"\n  <Response Node={name} State={state}>{xml_text(node['text'] or '')}</Response>"


# XML 1.0 cannot hold these characters, not even escaped.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# The standard library has such escapes in a module that loads half of urllib.
_IN_TEXT = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"})
_IN_ATTRIBUTE = _IN_TEXT | str.maketrans({'"': "&quot;", "\n": "&#10;", "\t": "&#9;"})


def xml_text(text: str) -> str:
    """`text` as XML character data; a character that XML cannot hold becomes U+FFFD."""
    return xml_escaped(_NOT_XML.sub("\ufffd", text).translate(_IN_TEXT))


def xml_attribute(text: str) -> str:
    """`text` as a quoted XML attribute value."""
    return '"' + xml_escaped(_NOT_XML.sub("\ufffd", text).translate(_IN_ATTRIBUTE)) + '"'
