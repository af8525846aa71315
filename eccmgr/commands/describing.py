"""`describe LINE`: what a line would do, and how much a console asks before it sends the line. Nothing is run."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, replace

from eccmgr.commands.answer import Answer, Facts, split_form
from eccmgr.commands.carried import CHANGE_NODES, DANGEROUS_ON_NODES, ON_NODES
from eccmgr.commands.danger import Danger
from eccmgr.commands.gate import DESCRIBE, Admitted, Gate
from eccmgr.commands.normal_form import NormalForm
from eccmgr.commands.secrets import without_secrets
from eccmgr.commands.table import Call, Carries, Command, Param, Table
from eccmgr.commands.told_dangers import danger_of, dangers_in
from eccmgr.duravip.picture import VipEffect
from eccmgr.errors import NotAvailable, UsageError
from eccmgr.text.counting import counted
from eccmgr.text.long_lines import off_loop

LEAVING = ("cluster reset", "shutdown")
"""The commands after which a node carries no VIP for a while."""
DRAINING = "cluster duravip drain"
_SHOWN_MAX = 80
_LEVELS = {Danger.NONE: "none", Danger.ASKS: "asks", Danger.ASKS_NUMBER: "asks for the number of nodes"}


@dataclass(frozen=True)
class Dissected:
    """A line taken apart: its innermost command, the command that carries it to nodes, and what comes before both.

    `carrier` and `schedule` are None where the line has none. `changes`: it may change something.
    """

    innermost: NormalForm
    carrier: NormalForm | None
    schedule: NormalForm | None
    danger: Danger
    changes: bool

    @classmethod
    def of(cls, form: NormalForm, table: Table) -> "Dissected":
        """Take the command `form` of `table` apart."""
        schedule: NormalForm | None = None
        danger, changes = Danger.NONE, False
        while (command := table.commands.get(form.name)) is not None:
            danger = max(danger, command.danger)
            if command.carries is None or form.carried is None:
                return cls(form, None, schedule, danger, changes or command.changes)
            if command.carries is Carries.FOR_NODES:
                innermost, risk, alters = _on_nodes(form.carried)
                return cls(innermost, form, schedule, max(danger, risk), changes or alters)
            # What a schedule gets is kept, so that changes something by itself.
            schedule, form, changes = form, form.carried, True
        return cls(form, None, schedule, danger, changes=True)


def _on_nodes(form: NormalForm) -> tuple[NormalForm, Danger, bool]:
    """The innermost command of `form`, which nodes get; its danger, and whether it may change something.

    A manager does not know the modules of nodes, so their commands may change something.
    """
    danger, changes = DANGEROUS_ON_NODES.get(form.name, Danger.NONE), False
    while form.carried is not None:
        form, changes = form.carried, True
        danger = max(danger, DANGEROUS_ON_NODES.get(form.name, Danger.NONE))
    return form, danger, changes or form.name not in ON_NODES or form.name in CHANGE_NODES


@dataclass(frozen=True)
class Hit:
    """What a dangerous line would hit: `where` in words, the number of nodes, and what becomes of their VIPs."""

    where: str = ""
    nodes: int | None = None
    vips: VipEffect | None = None

    def __str__(self) -> str:
        effect = str(self.vips) if self.vips is not None else ""
        return f"{f' on {self.where}' if self.where else ''}{f': {effect}' if effect else ''}"

    @property
    def facts(self) -> Facts:
        """The fields of the JSON form."""
        vips = None if self.vips is None else {"moved": self.vips.moved, "stranded": self.vips.stranded}
        return {"where": self.where, "expected": self.nodes, "vips": vips}


Survey = Callable[[Dissected], Awaitable[Hit]]
"""Finds out what a dangerous line would hit. Raises EccmgrError."""


Vocabulary = Callable[[], Awaitable[Collection[str]]]
"""Gives the words that nodes have stated. Raises EccmgrError."""


async def _nothing_stated() -> Collection[str]:
    return ()


def describe_command(gate: Gate, survey: Survey, vocabulary: Vocabulary = _nothing_stated) -> Command:
    """The command `describe LINE`. A manager gives the `vocabulary` of its nodes, whose modules it does not know."""

    async def describe(call: Call) -> Answer:
        _, typed = split_form(call.args[0])
        if not typed.strip():
            raise UsageError(f"Usage: {DESCRIBE} LINE")
        admitted: Admitted = await off_loop(lambda text: gate.look_at(text, call.caller), typed)
        if admitted.command.refusal:
            raise NotAvailable(admitted.command.refusal)
        line = Dissected.of(admitted.form, gate.table)
        if line.carrier is not None and line.innermost.name not in ON_NODES:
            stated = danger_of(line.innermost, dangers_in(await vocabulary()))
            line = replace(line, danger=max(line.danger, stated))
        hit = await survey(line) if line.danger else Hit()
        danger = _level(line.danger, hit.nodes)
        about = f"{await off_loop(_shown, str(line.innermost))}{hit}"
        if line.schedule is not None:
            about = f"{' '.join((line.schedule.name, *line.schedule.arguments))}: {about}"
        facts = {"what": about, "danger": danger.name.lower(), "changes": line.changes, **hit.facts}
        changes = "something" if line.changes else "nothing"
        return Answer(f"{about}\nDanger: {_LEVELS[danger]}\nChanges: {changes}", facts=facts)

    return Command(
        DESCRIBE,
        "what LINE would do, and whether a console asks before it; runs nothing",
        describe,
        (Param("LINE", kind="own command", rest=True),),
        about="Every user who may run LINE may describe it.",
        idempotent=True,
        heavy=True,
    )


def _shown(line: str) -> str:
    shown = without_secrets(line)
    return shown if len(shown) <= _SHOWN_MAX else f"{shown[:_SHOWN_MAX]}…"


def _level(danger: Danger, nodes: int | None) -> Danger:
    """The question for a command that hits this number of nodes; None if it hits none but this process."""
    if nodes == 0:
        return Danger.NONE  # No node would run it.
    return min(danger, Danger.ASKS) if nodes is None or nodes == 1 else danger


def on_nodes(target: str, number: int, nodes: Sequence[str]) -> str:
    """`400 nodes of @west`, or the name of the one node."""
    shown = target if len(target) <= _SHOWN_MAX else f"{target[:_SHOWN_MAX]}…"
    return nodes[0] if number == 1 else f"{counted(number, 'node')} of {shown}"
