"""Runs the line that a client sent and renders its answer; an error becomes an answer too."""

from dataclasses import dataclass, replace

import structlog

from eccmgr.commands.answer import Answer, Format, Status, split_form
from eccmgr.commands.caller import Caller
from eccmgr.commands.gate import Gate, check_length
from eccmgr.commands.secrets import without_secrets
from eccmgr.errors import CommandError, EccmgrError, NotAuthorized, NothingSent, UsageError, unwrapped
from eccmgr.text.long_lines import off_loop

log = structlog.get_logger()

# The blanks around a line, and NUL, which a client written in C may send after the line.
_BLANK = "\0 \t\n\v\f\r"


@dataclass(frozen=True)
class Reply:
    """An answer, and the text that is sent for it."""

    answer: Answer
    body: str


async def reply(gate: Gate, line: str, caller: Caller, form: Format = Format.TEXT) -> Reply:
    """Run `line` through `gate`, and render its answer in the form of its prefix (`xml`, `json`), by default `form`.

    Raises nothing but cancellation: the answer of a refused command is the reason, and a fault of a handler is logged
    with its trace and answered in one line.
    """
    return await _reply(*await _run(gate, line, caller, form))


async def facts_reply(gate: Gate, line: str, caller: Caller) -> Answer:
    """Run `line` as `reply` does; answers its facts, which nobody needs as a text."""
    answer, _, _ = await _run(gate, line, caller, Format.JSON)
    return answer


async def _run(gate: Gate, line: str, caller: Caller, form: Format) -> tuple[Answer, Format, str]:
    """The answer to `line`, the form that it asks for, and the command in it."""
    line = line.strip(_BLANK)
    form, command = split_form(line, form)
    try:
        check_length(line)
    except CommandError as error:
        gate.note_formless(line, caller)
        # The line was not searched for secrets either, so the answer does not repeat it.
        return Answer(str(error), Status.ERROR), form, ""
    if not line.strip():
        return Answer(""), form, ""
    if not command:
        return Answer(f"Usage: {line.lower()} COMMAND", Status.ERROR, usage=True), form, line
    if "\n" in line or "\r" in line:
        gate.note_formless(line, caller)
        return Answer("A command is one line", Status.ERROR), form, command
    try:
        answer = await gate.run(command, caller if form is caller.form else replace(caller, form=form))
    except Exception as error:  # a fault in one handler must not end the daemon or the session
        reason = unwrapped(error)
        if isinstance(reason, EccmgrError):
            usage, undone = isinstance(reason, UsageError), isinstance(reason, NothingSent)
            status = Status.DENIED if isinstance(reason, NotAuthorized) else Status.ERROR
            answer = Answer(str(reason), status, usage=usage, undone=undone)
        else:
            log.exception("command failed", command=without_secrets(command), user=caller.user)
            answer = Answer(f"Internal error: {type(reason).__name__} (see the log)", Status.ERROR)
    return answer, form, command


async def _reply(answer: Answer, form: Format, command: str) -> Reply:
    if form is Format.TEXT:
        return Reply(answer, answer.text)
    return Reply(answer, answer.render(form, await off_loop(without_secrets, command)))
