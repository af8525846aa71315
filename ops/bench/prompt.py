"""A press of the Tab key with 10,000 nodes: completion from what the console knows, against what a manager computes if
it is asked for each press."""

import statistics
import time
from collections.abc import Callable
from typing import Any

from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document

from cli.console.completer import LexiconCompleter
from cli.console.hints import hint
from cli.console.lexicon import Lexicon, table_of
from cli.console.node_names import NodeNames
from cli.console.own_commands import OwnCommands
from eccmgr.commands.completion import Known, complete
from eccmgr.commands.table import command_facts
from eccmgr.config.live.store import Store
from eccmgr.manager import Manager
from eccmgr.settings import ManagerSettings
from ops.bench.table import Row, ratio

NODES = 10_000
ROUNDS = 100
LINES = ("gather ", "gather n", "gather node1", "gather node12", "gather node[", "unicast node9999", "gather @all p")


def measure() -> dict[str, Any]:
    """The figures: the medians of the slowest line, in ms a press."""
    names = [f"node{number}" for number in range(1, NODES + 1)]
    table = Manager(ManagerSettings(redis="redis://127.0.0.1:1/0"), Store()).table
    read = table_of({"commands": [command_facts(command) for command in table.listed()]})
    assert read is not None
    own, lexicon = OwnCommands(), Lexicon(read, NodeNames(names), ("east", "west"))
    completer = LexiconCompleter(lambda: lexicon, lambda _line: (), own)
    known = Known(tuple(names), ("east", "west"))

    def here(line: str) -> None:
        list(completer.get_completions(Document(line), CompleteEvent()))

    return {
        "nodes": NODES,
        "first_press_ms": round(_once(lambda: here(LINES[0])), 3),
        "press_ms": round(max(_median(lambda line=line: here(line)) for line in LINES), 3),  # type: ignore[misc]
        "hint_ms": round(max(_median(lambda line=line: hint(line, read, own)) for line in LINES), 3),  # type: ignore[misc]
        "asked_ms": round(max(_median(lambda line=line: complete(table, line, known)) for line in LINES), 3),  # type: ignore[misc]
    }


def rows(figures: dict[str, Any]) -> list[Row]:
    """The rows of the printed table."""
    asked = figures["asked_ms"]
    return [
        ratio(f"Tab, {figures['nodes']} nodes", figures["press_ms"], asked, "ms", None, "asking a manager"),
        ratio("the hint under the line", figures["hint_ms"], asked, "ms", None, "asking a manager"),
    ]


def _median(press: Callable[[], object]) -> float:
    return statistics.median(_once(press) for _ in range(ROUNDS))


def _once(press: Callable[[], object]) -> float:
    """The time of one press, in ms."""
    began = time.perf_counter()
    press()
    return (time.perf_counter() - began) * 1000
