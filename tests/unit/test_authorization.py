"""The gate and roles: no spelling and no nesting of a command passes without a role."""

import dataclasses
import functools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eccmgr.access.policy import Policy, pattern_of
from eccmgr.commands.answer import FORMS, Answer
from eccmgr.commands.caller import Caller
from eccmgr.commands.gate import Gate
from eccmgr.commands.table import COMMAND, Call, Carries, Command, Table
from eccmgr.config.live.store import Store
from eccmgr.errors import CommandError
from eccmgr.manager import Manager
from eccmgr.settings import ManagerSettings, NodeSettings
from worker.node import EcNode


def gate(*allow: str) -> tuple[Gate, list[str]]:
    ran: list[str] = []

    async def run(call: Call) -> Answer:
        ran.append(call.caller.user)
        return Answer("")

    async def carry(call: Call) -> Answer:
        ran.append(call.carry(call.args[-1]))
        return Answer("")

    table = Table()
    table.add(
        Command("shutdown", "", run),
        Command("uptime", "", run),
        Command("broadcast", "", carry, (COMMAND,), carries=Carries.FOR_NODES),
        Command("later", "", carry, (COMMAND,), carries=Carries.FOR_ITSELF),
    )
    made = Gate(table)
    patterns = tuple(pattern_of(each) for each in allow)
    made.policy = Policy({"tom": patterns}, everywhere=True)
    return made, ran


def spelt(word: str) -> st.SearchStrategy[str]:
    """Spellings of a word that the table takes for the word."""

    def spell(parts: list[tuple[str, str]]) -> str:
        return "".join(start + letter + (start if start in "\"'" else "") for letter, start in parts)

    letters = [
        st.tuples(st.sampled_from([letter, letter.upper()]), st.sampled_from(["", "\\", '"', "'"])) for letter in word
    ]
    return st.tuples(*letters).map(lambda parts: spell(list(parts)))


@st.composite
def carried(draw: st.DrawFn) -> str:
    line = draw(spelt("shutdown"))
    for _ in range(draw(st.integers(0, 3))):
        carrier = draw(st.sampled_from(["broadcast", "later", "xml", "json"]))
        line = f"{draw(spelt(carrier))}{draw(st.sampled_from([' ', '  ', chr(9)]))}{line}"
    return line


@pytest.mark.asyncio
@given(line=carried(), allow=st.sampled_from([(), ("^uptime$",), ("^broadcast ",), ("^later ", "^broadcast uptime$")]))
async def test_no_spelling_or_nesting_reaches_a_handler(line: str, allow: tuple[str, ...]) -> None:
    made, ran = gate(*allow)
    with pytest.raises(CommandError):
        await made.run(line, Caller("tom"))
    assert ran == []


# The words around a carried command that its carrier takes for itself.
TARGETS = ("@all ", "@all&os:linux!(east1) ", '"@all & @east" ', "(@all^east1),west1 ")
BEFORE = re.compile(rf"(?:--\S+ )*(?:{'|'.join(map(re.escape, TARGETS))})?(?:-- )?")
CARRIERS = (
    *("broadcast ", "gather ", "gather --timeout=5 --batch=1 ", "gather -- ", "unicast east1 "),
    *(f"gather {target}" for target in TARGETS),
    "gather --timeout=5 @all&os:linux!(east1) -- ",
    *(
        "subcluster broadcast default ",
        "sched in 1 ",
        "sched every 1 ",
        "ecelerity ",
        "complete ",
        "help ",
        "retrieve ",
    ),
    *("xml ", "json "),
)
ALLOWED = (
    (),
    ("^uptime$",),
    ("^gather uptime$", "^retrieve "),
    ("^broadcast ", "^gather ", "^unicast ", "^subcluster ", "^sched ", "^ecelerity ", "^xml ", "^json "),
    ("^broadcast uptime", "^complete ", "^help "),
)
INNERMOST = ("shutdown", "config set a b", "cluster reset", "flush control cache", "reopen logs")


@functools.cache
def real(kind: type[Manager] | type[EcNode]) -> tuple[Gate, list[str]]:
    """The gate of a real daemon. Its handlers only note that they ran, and carry as the real ones do."""
    settings = {"redis": "redis://127.0.0.1:1/0"}
    daemon = (
        Manager(ManagerSettings(**settings), Store()) if kind is Manager else EcNode(NodeSettings(**settings), Store())
    )
    ran: list[str] = []

    async def run(call: Call) -> Answer:
        if daemon.table.find(call.text)[0].carries is not None:
            call.carry(call.args[-1][BEFORE.match(call.args[-1]).end() :])  # type: ignore[union-attr]
        ran.append(call.text)
        return Answer("")

    for name, command in daemon.table.commands.items():
        # The real handlers of these refuse every line.
        if name not in FORMS:
            daemon.table.commands[name] = dataclasses.replace(command, handler=run)
    return daemon.gate, ran


@st.composite
def nested(draw: st.DrawFn) -> str:
    line = " ".join(draw(spelt(word)) for word in draw(st.sampled_from(INNERMOST)).split())
    if draw(st.booleans()):
        line = '"' + line.replace("\\", "\\\\").replace('"', '\\"') + '"'
    for _ in range(draw(st.integers(0, 4))):
        line = draw(st.sampled_from(CARRIERS)) + line
    return line


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", [Manager, EcNode])
@given(line=nested(), allow=st.sampled_from(ALLOWED), limited=st.sampled_from([True, None]))
async def test_no_nesting_passes_the_gate_of_a_daemon(
    kind: type[Manager] | type[EcNode], line: str, allow: tuple[str, ...], limited: bool | None
) -> None:
    made, ran = real(kind)
    made.policy = Policy({"tom": tuple(map(pattern_of, allow))}, everywhere=True)
    ran.clear()
    try:
        await made.run(line, Caller("tom", limited=limited))
    except CommandError:
        assert ran == []
    # These take any text for their argument, and run nothing of it.
    assert [text for text in ran if not text.startswith(("retrieve ", "help ", "complete "))] == []
