"""The commands that every daemon has: help, version, the forms, completion, log files, shutdown."""

import asyncio
import functools
import time
from collections.abc import Awaitable, Callable

from eccmgr.commands.answer import Answer
from eccmgr.commands.caller import Caller
from eccmgr.commands.completion import Known, complete
from eccmgr.commands.danger import Danger
from eccmgr.commands.table import Call, Command, Param, Table, help_command, prompt
from eccmgr.config.schema.known import SCHEMA
from eccmgr.config.schema.reference import help_text
from eccmgr.config.schema.spec import ScopeSpec
from eccmgr.errors import UsageError
from eccmgr.text.counting import counted
from eccmgr.text.long_lines import off_loop
from eccmgr.version import banner, full_version

KnownNames = Callable[[Caller], Awaitable[Known]]


def standing_commands(
    table: Table,
    program: str,
    known: KnownNames,
    stop: Callable[[], None],
    reopen: Callable[[], int],
    schema: ScopeSpec = SCHEMA,
) -> tuple[Command, ...]:
    """The commands that every daemon has, and the words for a form, for the daemon called `program`.

    `stop` begins a clean shutdown; `reopen` opens the log files anew and returns their number.
    """

    async def completed(call: Call) -> Answer:
        names = await known(call.caller)
        candidates = await off_loop(lambda line: complete(table, line, names), call.args[0] if call.args else "")
        return Answer("\n".join(candidates), facts={"candidates": candidates})

    async def shutdown(_call: Call) -> str:
        stop()
        return "Shutting down"

    async def reopen_logs(_call: Call) -> Answer:
        number = await asyncio.to_thread(reopen)
        return Answer(f"Reopened {counted(number, 'log file')}", facts={"files": number})

    async def form_of_a_form(call: Call) -> str:
        raise UsageError(f"Usage: {call.text.split()[0].lower()} COMMAND, where COMMAND does not ask for a form again")

    machine = Param("COMMAND", kind="own command", rest=True)
    return (
        help_command(table, {"config": functools.partial(help_text, schema=schema)}),
        Command(
            "reopen logs",
            "open the log files anew, after they were moved away",
            reopen_logs,
            idempotent=True,
            reads=False,
        ),
        Command("json", "the answer to COMMAND as one JSON object", form_of_a_form, (machine,), idempotent=True),
        Command("xml", "the answer to COMMAND as XML", form_of_a_form, (machine,), idempotent=True),
        prompt(
            "version",
            "the banner",
            lambda: banner(program),
            is_open=True,
            facts=lambda: {"program": program, "version": full_version()},
        ),
        Command(
            "complete",
            "the words that may follow a line typed so far (the console's Tab key asks this)",
            completed,
            (Param("LINE", optional=True),),
            about="LINE is one word: quote it. A blank at its end asks for the next word.",
            idempotent=True,
        ),
        Command("shutdown", "end this process cleanly", shutdown, danger=Danger.ASKS_NUMBER),
    )


def duration(seconds: float) -> str:
    """`seconds` in its two largest units, such as `2 h 13 m`."""
    left = int(seconds)
    units = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))
    parts: list[str] = []
    for name, size in units:
        number, left = divmod(left, size)
        if number or parts or name == "s":
            parts.append(f"{number} {name}")
    return " ".join(parts[:2])


class Age:
    """The age of this process, counted from the moment at which the object is made."""

    def __init__(self) -> None:
        self.started = time.time()
        self._since = time.monotonic()

    @property
    def seconds(self) -> float:
        """The seconds since the start; no step of the wall clock changes them."""
        return time.monotonic() - self._since

    def __str__(self) -> str:
        return duration(self.seconds)
