"""What a command answers, and its three forms: text, JSON, XML."""

import enum
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


class Status(enum.StrEnum):
    """How a command ended."""

    OK = "ok"
    """It did what was asked."""
    ERROR = "error"
    """It was refused or failed."""
    DENIED = "denied"
    """Who asked is not known or not allowed to."""
    PARTIAL = "partial"
    """Some nodes did not answer, or answered with an error."""


NOT_CONCERNED = "not concerned"
"""What a node answers to a command that reaches it and that it has no part in."""


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
"""The forms that a command may ask for by a word before it."""


def split_form(line: str, form: Format = Format.TEXT) -> tuple[Format, str]:
    """The form that the first word of `line` names, else `form`; and the command behind it."""
    first, *behind = line.split(maxsplit=1) or [""]
    named = FORMS.get(first.lower())
    if named is None:
        return form, line
    return named, behind[0].rstrip() if behind else ""


_EXIT_OF = {
    Status.OK: Exit.OK,
    Status.ERROR: Exit.FAILED,
    Status.DENIED: Exit.DENIED,
    Status.PARTIAL: Exit.PARTIAL,
}


@dataclass(frozen=True)
class Answer:
    """An answer before it is given a form.

    `text` is what a person reads. `facts` are the further fields of the JSON form; where they hold
    `nodes`, the XML form lists those. `is_xml` says that `text` is XML already. `tail`, where given, is what
    remains to be shown to a client that has seen the responses as they came.
    """

    text: str
    status: Status = Status.OK
    usage: bool = False
    facts: Mapping[str, Any] = field(default_factory=dict)
    is_xml: bool = False
    tail: str | None = None
    undone: bool = False
    """Whether Redis was away before anything was done: to ask again does not do it twice."""

    @property
    def exit(self) -> Exit:
        """The exit code that a console in batch mode ends with."""
        return Exit.USAGE if self.usage else _EXIT_OF[self.status]

    def render(self, form: Format, command: str) -> str:
        """The answer to `command` in the form asked for."""
        match form:
            case Format.TEXT:
                return self.text
            case Format.JSON:
                return self._json(command)
            case Format.XML:
                return self._xml(command)

    def _json(self, command: str) -> str:
        head = {"command": command, "status": self.status.value, "body": self.text}
        return json.dumps({**head, **self.facts}, ensure_ascii=False)

    def _xml(self, command: str) -> str:
        if self.is_xml:
            return self.text
        nodes: Sequence[Mapping[str, Any]] | None = self.facts.get("nodes")
        body = xml_text(self.text) if nodes is None else "".join(_response(node) for node in nodes) + "\n"
        return f"<Answer Command={xml_attribute(command)} Status={xml_attribute(self.status.value)}>{body}</Answer>"


def _response(node: Mapping[str, Any]) -> str:
    name, state = xml_attribute(node["node"]), xml_attribute(node["state"])
    return f"\n  <Response Node={name} State={state}>{xml_text(node['text'] or '')}</Response>"


# XML 1.0 has no way to write these at all, not even escaped.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# The standard library's own escapes live in a module that loads half of urllib.
_IN_TEXT = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"})
_IN_ATTRIBUTE = _IN_TEXT | str.maketrans({'"': "&quot;", "\n": "&#10;", "\t": "&#9;"})


def xml_text(text: str) -> str:
    """`text` as XML character data; what XML cannot hold becomes U+FFFD."""
    return _NOT_XML.sub("\ufffd", text).translate(_IN_TEXT)


def xml_attribute(text: str) -> str:
    """`text` as a quoted XML attribute value."""
    return '"' + _NOT_XML.sub("\ufffd", text).translate(_IN_ATTRIBUTE) + '"'
