"""A command with options: the JSON of a REQUEST frame, and of the CHUNK and RESULT frames that answer it.

The standard library reads and writes it. So the answer to a faulty request names the wrong field in our words, and has
the request's id. And an answer may hold a text that is not valid Unicode, which msgspec cannot write.
"""

import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from eccmgr.commands.answer import Exit, Format
from eccmgr.commands.caller import Caller, Event
from eccmgr.commands.dispatch import Reply
from eccmgr.commands.gate import LINE_BYTES_MAX
from eccmgr.control import frames

_WIDTH_MAX = 100_000
# JSON can hold halves of characters, which UTF-8, and so Redis, cannot.
_SURROGATE = re.compile("[\ud800-\udfff]")


class BadRequest(ValueError):
    """Raised for a faulty REQUEST; `id` is its id, if that can be read."""

    def __init__(self, reason: str, request_id: "int | str | None" = None) -> None:
        super().__init__(reason)
        self.id = request_id


REQUEST_BYTES_MAX = 6 * LINE_BYTES_MAX + 4096
"""The maximum size of a command's JSON: each byte of the longest command may be escaped."""


@dataclass(frozen=True)
class ConsoleRequest:
    """The JSON of a REQUEST frame.

    With `stream` the client gets events as they happen. The text at the end leaves out the lines that they have shown,
    unless the client wants it `whole`. With `run_on`, a gather goes on if the client goes away. The
    client may `propose` the gather's id.
    """

    id: int | str | None
    command: str
    form: Format
    stream: bool
    width: int
    whole: bool = False
    run_on: bool = False
    propose: str = ""

    @classmethod
    def parse(cls, payload: bytes) -> "ConsoleRequest":
        """Read a REQUEST. Raises BadRequest with the fault."""
        try:
            fields = json.loads(payload)
        except (ValueError, RecursionError):
            raise BadRequest("the payload is not JSON") from None
        if not isinstance(fields, dict):
            raise BadRequest("an object is expected")
        named = fields.get("id")
        if not isinstance(named, int | str | None):
            raise BadRequest("id is a number or a string")
        command, form, width = fields.get("command"), fields.get("format", "text"), fields.get("width", 80)
        if not isinstance(command, str) or _SURROGATE.search(command):
            raise BadRequest("command is a string of valid Unicode", named)
        if form not in tuple(Format):
            raise BadRequest("format is one of text, json, xml", named)
        if not isinstance(width, int) or not 1 <= width <= _WIDTH_MAX:
            raise BadRequest("width is a number of columns", named)
        stream, whole, run_on = (fields.get(name) is True for name in ("stream", "whole", "run_on"))
        proposed = fields.get("propose")
        propose = proposed if isinstance(proposed, str) else ""
        return cls(named, command, Format(form), stream, width, whole, run_on, propose)

    def caller(self, visitor: Caller, emit: Callable[[Event], Awaitable[None]]) -> Caller:
        """The caller of a streamed request, which gets its events by `emit`."""
        return replace(visitor, emit=emit, width=self.width, runs_on=self.run_on, proposed_id=self.propose)

    def rest_of(self, answered: Reply) -> Reply:
        """What is left to send of an answer, after the events."""
        if answered.answer.tail is None or self.form is not Format.TEXT or self.whole:
            return answered
        return Reply(answered.answer, answered.answer.tail)


def result_frame(request_id: int | str | None, answered: Reply) -> bytes:
    """The RESULT frame that ends a REQUEST."""
    exit_code = Exit.USAGE if answered.answer.usage else answered.answer.exit
    fields = {
        "id": request_id,
        "status": answered.answer.status.value,
        "exit": int(exit_code),
        "body": answered.body,
    }
    return frames.encode(frames.RESULT, json.dumps(fields).encode())


def chunk_frame(request_id: int | str | None, event: Event) -> bytes:
    """A CHUNK frame with partial output or progress of a REQUEST."""
    return frames.encode(frames.CHUNK, json.dumps({"id": request_id, **event}).encode())
