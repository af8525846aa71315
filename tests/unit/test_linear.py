"""What reads a typed line takes as many more steps as the line is longer, whatever the line holds."""

import sys
from collections.abc import Callable
from types import FrameType

import pytest

from eccmgr.cluster import algebra, names, nodeset
from eccmgr.cluster.view import View
from eccmgr.commands.carried import carried
from eccmgr.commands.completion import Known, complete
from eccmgr.commands.gather import GatherWish
from eccmgr.commands.normal_form import normal_form
from eccmgr.commands.secrets import same_command, without_secrets
from eccmgr.commands.table import COMMAND, Command, Param, Table, describe, prompt
from eccmgr.config.schema import paths
from eccmgr.config.syntax.tree import Scope
from eccmgr.errors import EccmgrError
from eccmgr.text import words

SIZE = 2048
VIEW = View(1, {}, {})
PIECES = (
    *(
        "a ",
        '"',
        "'",
        "\\",
        '"" ',
        '\\" ',
        "[",
        "]",
        "[ ",
        "( a ",
        "{ ",
        ",",
        "a,",
        "-",
        ".",
        "1a",
        "0",
        "1-2,",
        "[1-2]",
    ),
    *(
        "= ",
        "a=b ",
        "password=",
        "a_password ",
        "://a:",
        "config set ",
        "json ",
        "gather ",
        "--timeout 5 ",
        "é ",
        "@a,",
        "(",
        "@r:m*&",
        "!a ^",
    ),
    *(
        "broadcast ",
        "sched in 5 ",
        "x:y ",
        "Binding a ",
        "cluster duravip ",
        "n[1-9][1-9],",
        '"\\" ',
        "east1,",
        "help ",
    ),
)


async def _nothing(_call: object) -> str:
    return ""


def table() -> Table:
    """A table with commands that complete and carry in each way."""
    made = Table()
    made.add(
        prompt("pid", "the process id", lambda: "7"),
        Command("json", "a form", _nothing, (Param("COMMAND", kind="own command", rest=True),)),
        Command("gather", "gathers", _nothing, (Param("COMMAND", kind="gather", rest=True),)),
        Command("broadcast", "sends", _nothing, (COMMAND,)),
        Command("config set", "sets", _nothing, (Param("PATH", kind="config path", rest=True),)),
    )
    return made


TABLE = table()
READERS: dict[str, Callable[[str], object]] = {
    "words": words.split,
    "fold": words.fold,
    "normal form": lambda line: normal_form(line, TABLE),
    "secrets": without_secrets,
    "secrets of a setting": lambda line: without_secrets(f"config set {line}"),
    "same command": same_command,
    "carried": carried,
    "completion": lambda line: complete(TABLE, line, Known(("east1",), ("east",))),
    "completion of a form": lambda line: complete(TABLE, f"json {line}", Known()),
    "completion of a gather": lambda line: complete(TABLE, f"gather {line}", Known(("east1",))),
    "find": lambda line: TABLE.find(line),
    "help": lambda line: describe(TABLE, line),
    "parts": nodeset.parts,
    "target": algebra.parse,
    "set": lambda line: nodeset.spell_out(names.split_folded(line)),
    "gather": lambda line: GatherWish.parse(line, VIEW),
    "assignment": lambda line: paths.to_assignment(paths.start(Scope()), line),
    "value": paths.value_of,
}


def steps(read: Callable[[str], object], line: str) -> int:
    """The number of calls that reading takes."""
    count = 0

    def profile(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(profile)
    try:
        read(line)
    except EccmgrError:
        pass
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize("name", READERS)
def test_twice_the_line_takes_twice_the_steps(name: str) -> None:
    read = READERS[name]
    read_once = [steps(read, piece * (SIZE // len(piece))) for piece in PIECES]
    read_twice = [steps(read, piece * (2 * SIZE // len(piece))) for piece in PIECES]
    slow = {
        piece: (once, twice)
        for piece, once, twice in zip(PIECES, read_once, read_twice, strict=True)
        if twice > 2.2 * once + 500
    }
    assert slow == {}
