"""The one gate, through which every line passes on its way to a handler.

Console frames, requests, immediate answers, carried commands, schedules, jobs and the calls of modules all pass the
gate. A command inside a command passes it too, before it is sent. No other code calls a handler or a `say`.
"""

import asyncio
import contextlib
import copy
import enum
import functools
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from eccmgr.access.policy import Policy
from eccmgr.commands.answer import Answer, split_form
from eccmgr.commands.caller import Access, Caller, Origin
from eccmgr.commands.carried import carried
from eccmgr.commands.normal_form import NormalForm, check_characters, normal_form
from eccmgr.commands.table import Call, Carries, Command, Table
from eccmgr.config.schema.masking import MASK
from eccmgr.errors import CommandError, NotAuthorized
from eccmgr.tally import Histogram, Tally
from eccmgr.text.long_lines import off_loop

NOT_AUTHORIZED = "Not Authorized for this command"
HEAVY_AT_ONCE = 4
"""The most heavy commands that run at a time in one process; more wait for their turn."""
ROOM_S = 10.0
"""The longest wait of a command for room for its answer."""
DESCRIBE = "describe"
"""The command that says what a line would do. Whoever may run the line may have it described, and nobody else."""
LINE_BYTES_MAX = 64 * 1024
"""The longest line that is read as a command: each step that looks at such a line takes a moment."""


def check_length(line: str) -> None:
    """Raises CommandError if `line` is longer than a command may be."""
    # A character takes at most four bytes, so the bytes of a short line need not be counted.
    if len(line) * 4 > LINE_BYTES_MAX and (size := len(line.encode("utf-8", "replace"))) > LINE_BYTES_MAX:
        raise CommandError(f"Command too long ({size} bytes, limit {LINE_BYTES_MAX})")


class Admission(enum.IntEnum):
    """The judgement of the gate on a command, in the form of the account of commands."""

    ALLOWED = 1
    REFUSED = 0
    UNASKED = -1
    """No role limits the caller."""


class Judged(NamedTuple):
    """A judgement of the gate: `role` allowed the command, which is in normal form.

    A line that was refused because it has no normal form, or before it was looked up, is as it came. It holds its
    secrets, as every command here does.
    """

    caller: Caller
    command: str
    verdict: Admission
    role: str = ""


class Authentication(enum.Enum):
    """The end of a caller's sign-in."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed out"
    """The caller did not sign in within the time that its listener gives."""


@dataclass(frozen=True)
class Admitted:
    """A command that has passed the gate: it exists, its arguments are parsed, and its caller may run it."""

    command: Command
    call: Call
    form: NormalForm
    """The one spelling of the command, and of the command that it carries."""

    async def run(self) -> Answer:
        """Run the command's handler. Raises the handler's errors."""
        answer = await self.command.handler(self.call)
        return Answer(answer) if isinstance(answer, str) else answer


class Gate:
    """The gate of one process, in front of its table."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.policy = Policy()
        """The policy: who may run a command. A change of the configuration replaces it, for open connections too."""
        self.on_judged: Callable[[Judged], None] = lambda _judged: None
        """Called with each judgement, for the account of commands; for a long line from a thread."""
        self.on_signed_in: Callable[[Caller, Authentication], None] = lambda _caller, _outcome: None
        """Called with each caller that has signed in, or has failed to."""
        self.ran: Counter[tuple[str, str]] = Counter()
        """The number of commands that ran, by name and result; commands of modules are one."""
        self.took = Histogram()
        """How long those took; one with an answer at hand took no time."""
        self.passed: Counter[Origin] = Counter()
        """The number of commands by origin, with the commands inside commands."""
        self._heavy = asyncio.Semaphore(HEAVY_AT_ONCE)
        self.refused = Tally()
        """The refusals of the gate and of the control listeners."""

    def admit(self, line: str, caller: Caller, carriers: tuple[str, ...] = ()) -> Admitted:
        """Admit the command of `line`, which is inside of `carriers` (in normal form).

        Raises CommandError if it is unknown, too long or has no normal form, or if `caller` may not run it. A caller
        with limited roles learns nothing else of other commands.
        """
        limited = self.policy.limits(caller.limited)
        with self._noting(line, caller):
            check_length(line)
            check_characters(line)
            form = normal_form(line, self.table) if limited else None
        described = form is not None and form.name == DESCRIBE
        if form is not None and not described:
            self._authorize(caller, str(form), carriers)
        command, offset = self._find(line, caller)
        with self._noting(line, caller):
            form = form or normal_form(line, self.table)
        args = command.parse(line, offset)
        if (not limited or described) and command.name != DESCRIBE:
            self._authorize(caller, str(form), carriers)
        return Admitted(command, Call(args, caller, line, functools.partial(self._carry, command, caller, form)), form)

    def allows(self, caller: Caller, command: str) -> bool:
        """Whether the roles of `caller` allow `command`, which is in normal form. Nothing is noted."""
        return not self.policy.limits(caller.limited) or self.policy.role_for(caller.user, command) is not None

    def look_at(self, line: str, caller: Caller) -> Admitted:
        """Admit `line`, with every command that it carries, as if it were to run.

        Nothing runs, so the account gets only a refusal. Raises CommandError as `admit` and `Call.carry` do.
        """
        looking = copy.copy(self)
        looking.passed = Counter()
        looking.on_judged = lambda judged: None if judged.verdict is not Admission.REFUSED else self.on_judged(judged)
        admitted = looking.admit(line, caller)
        inside = admitted
        carriers: tuple[str, ...] = (str(admitted.form),)
        while inside.command.carries is Carries.FOR_ITSELF and inside.form.carried is not None:
            inside = looking.admit(str(inside.form.carried), caller, carriers)
            carriers = (*carriers, str(inside.form))
        if inside.command.carries is Carries.FOR_NODES:
            looking._authorize_all(caller, inside.form.carried, carriers)
        return admitted

    def note_formless(self, line: str, caller: Caller) -> None:
        """Note the refusal of a line without a normal form; count it if roles limit its caller."""
        if self.policy.limits(caller.limited):
            self.refused.note("lines without a normal form", user=caller.user, listener=caller.listener)
        self.note_refused(line, caller)

    def note_refused(self, line: str, caller: Caller) -> None:
        """Note that `line` was refused whatever the caller's roles are. A longer line than a command's is not kept."""
        kept = line if len(line) <= LINE_BYTES_MAX else MASK
        self.on_judged(Judged(caller, kept, Admission.REFUSED))

    async def run(self, line: str, caller: Caller) -> Answer:
        """Run `line` for `caller`. Raises EccmgrError, whose message is the answer, if the command cannot run."""
        admitted = await off_loop(lambda text: self.admit(text, caller), line)
        if not admitted.command.heavy:
            return await self._counted(admitted)
        while True:
            async with self._heavy:
                # Those before this one may have filled the room.
                if caller.room is None or not caller.room.is_over:
                    return await self._counted(admitted)
            if not await caller.room.room(ROOM_S):
                raise CommandError(f"Too many answers wait to be read: {caller.room.bounds}; read them first")

    def answer_at_hand(self, line: str, caller: Caller) -> str | None:
        """The immediate answer to `line`, if `line` is the bare name of a command that has one, as monitoring sends it.

        None if only a task can answer, or if `caller` may not run the command.
        """
        command = self.table.commands.get(line)
        if command is None or command.say is None or not _is_open(command, caller):
            return None
        if self.policy.limits(caller.limited) and not self.policy.role_for(caller.user, command.name):
            return None
        self._authorize(caller, command.name)
        self.ran[command.name, "ok"] += 1
        self.took.observe(0.0)
        return command.say()

    async def _counted(self, admitted: Admitted) -> Answer:
        """Run a command, and count it. Raises the handler's errors."""
        name, result = admitted.command.name, "error"
        started = time.monotonic()
        try:
            answer = await admitted.run()
            result = answer.status.value
        finally:
            self.ran["module" if ":" in name else name, result] += 1
            self.took.observe(time.monotonic() - started)
        return answer

    @contextlib.contextmanager
    def _noting(self, line: str, caller: Caller) -> Iterator[None]:
        """Note that `line` has no normal form, if the block says so."""
        try:
            yield
        except CommandError:
            self.note_formless(line, caller)
            raise

    def _find(self, line: str, caller: Caller) -> tuple[Command, int]:
        """The command of `line`, and the offset of its arguments. An unknown caller learns nothing of other commands,
        nor of modules."""
        try:
            command_and_offset = self.table.find(line)
        except CommandError:
            if caller.access is Access.ALL:
                raise
            raise self._not_open(line, caller) from None
        if not _is_open(command_and_offset[0], caller):
            raise self._not_open(line, caller)
        return command_and_offset

    def _not_open(self, line: str, caller: Caller) -> NotAuthorized:
        self.note_refused(line, caller)
        self.refused.note("commands of unknown callers", listener=caller.listener, peer=caller.peer)
        names = ", ".join(command.name for command in self.table.listed() if command.is_open)
        return NotAuthorized(
            f"Not Authorized for this command: {caller.listener} cannot tell who you are, and answers {names}. "
            "Use this daemon's Unix socket; Insecure = true opens the listener to every command of everybody"
        )

    def _carry(self, command: Command, caller: Caller, form: NormalForm, text: str) -> str:
        assert command.carries is not None, f"the table does not say that {command.name} carries a command"
        sent = carried(text)
        if command.carries is Carries.FOR_ITSELF:
            inside = self.admit(split_form(sent)[1], caller, (str(form),))
            if inside.command.refusal:
                raise CommandError(inside.command.refusal)
            if inside.command.carries is not None:
                carried(inside.call.args[-1])
                self._authorize_all(caller, inside.form.carried, (str(form), str(inside.form)))
        else:
            # The node that gets the command looks it up in its own table.
            self._authorize_all(caller, normal_form(sent), (str(form),))
        return sent

    def _authorize_all(self, caller: Caller, inner: NormalForm | None, carriers: tuple[str, ...]) -> None:
        """Check that `caller` may let `carriers` carry the command `inner`, and every command inside of it."""
        while inner is not None:
            self._authorize(caller, str(inner), carriers)
            inner, carriers = inner.carried, (*carriers, str(inner))

    def _authorize(self, caller: Caller, command: str, carriers: tuple[str, ...] = ()) -> None:
        """Check that `caller` may run `command`, or let `carriers` carry it; all are in normal form.

        Raises NotAuthorized.
        """
        role: str | None = ""
        if self.policy.limits(caller.limited):
            role = self.policy.role_for(caller.user, command, carriers)
            if role is None:
                self.refused.note("commands without a role", user=caller.user, listener=caller.listener)
                self.on_judged(Judged(caller, command, Admission.REFUSED))
                raise NotAuthorized(NOT_AUTHORIZED)
        self.on_judged(Judged(caller, command, Admission.ALLOWED if role else Admission.UNASKED, role or ""))
        self.passed[caller.origin] += 1


def _is_open(command: Command, caller: Caller) -> bool:
    return caller.access is Access.ALL or command.is_open
