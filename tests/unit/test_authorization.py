"""The gate and roles: no spelling and no nesting of a command passes without a role."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eccmgr.access.policy import Policy
from eccmgr.commands.answer import Answer
from eccmgr.commands.caller import Caller
from eccmgr.commands.gate import Gate
from eccmgr.commands.table import COMMAND, Call, Carries, Command, Table
from eccmgr.errors import CommandError
from eccmgr.text.patterns import Pattern


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
    patterns = tuple(Pattern.parse(each, ignore_case=True) for each in allow)
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
