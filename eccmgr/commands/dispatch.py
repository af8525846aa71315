"""From the line that a client sent to the answer it gets: the form asked for, and errors made into text."""

from dataclasses import dataclass

import structlog

from eccmgr.commands import words
from eccmgr.commands.answer import Answer, Format, Status
from eccmgr.commands.table import Caller, Table
from eccmgr.errors import EccmgrError, UsageError

log = structlog.get_logger()


@dataclass(frozen=True)
class Reply:
    """An answer and the text it is sent as."""

    answer: Answer
    body: str


async def reply(table: Table, line: str, caller: Caller, form: Format = Format.TEXT) -> Reply:
    """Run `line` from `table` and give its answer the form that its prefix (`xml`, `json`) or `form` asks for.

    Never raises but for cancellation: what a command cannot do is its answer, and a fault of a handler is
    logged with its trace and answered in one line.
    """
    line = line.strip(" \t\r\n\0\v\f")
    form, command = split_form(line, form)
    if not command and not line:
        return Reply(Answer(""), Answer("").render(form, "") if form is not Format.TEXT else "")
    if not command:
        return _reply(Answer(f"Usage: {line.lower()} COMMAND", Status.ERROR, usage=True), form, line)
    if "\n" in command or "\r" in command:
        return _reply(Answer("A command is one line", Status.ERROR), form, command)
    try:
        answer = await table.run(command, caller)
    except UsageError as error:
        answer = Answer(str(error), Status.ERROR, usage=True)
    except EccmgrError as error:
        answer = Answer(str(error), Status.ERROR)
    except Exception as error:  # a fault in one handler must not end the daemon or the session
        log.exception("command failed", command=command, user=caller.user)
        answer = Answer(f"Internal error: {type(error).__name__} (see the log)", Status.ERROR)
    return _reply(answer, form, command)


def _reply(answer: Answer, form: Format, command: str) -> Reply:
    return Reply(answer, answer.render(form, command))


def split_form(line: str, form: Format = Format.TEXT) -> tuple[Format, str]:
    """The form that the first word of `line` names, else `form`; and the command behind it."""
    first = line.split(maxsplit=1)[:1]
    for named in (Format.XML, Format.JSON):
        if first and first[0].lower() == named.value:
            return named, words.rest(line, len(named.value))
    return form, line
