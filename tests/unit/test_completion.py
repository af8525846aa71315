"""Completion: the words that may follow the line typed so far."""

from pathlib import Path

import pytest

from eccmgr.commands.carried import CHANGE_NODES, DANGEROUS_ON_NODES, ON_NODES
from eccmgr.commands.completion import Known, complete
from eccmgr.commands.table import Table
from eccmgr.config.live.store import Store
from eccmgr.manager import Manager
from eccmgr.settings import ManagerSettings, NodeSettings
from worker.node import EcNode

KNOWN = Known(nodes=("west1", "east10", "east1", "East2"), subclusters=("east", "west"))
TAGGED = Known(("east1", "west1"), ("east",), tags=("os:linux", "role:db", "role:mta"))


@pytest.fixture(scope="module")
def table() -> Table:
    return Manager(ManagerSettings(redis="redis://127.0.0.1:1/0"), Store()).table


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("bro", ["broadcast"]),
        ("BRO", ["broadcast"]),
        ("broadcast", ["broadcast"]),
        ("broadcast ", sorted({name.split()[0] for name in ON_NODES})),
        ("broadcast cluster nodea", ["nodeaddr"]),
        ("subcluster ", ["broadcast", "retrieve"]),
        ("subcluster broadcast ", ["east", "west"]),
        ("subcluster broadcast W", ["west"]),
        ("subcluster broadcast west p", ["paniclog", "pid"]),
        ("unicast ", ["east1", "East2", "east10", "west1"]),
        ("unicast e", ["east1", "East2", "east10"]),
        ("unicast east1 module ", ["list"]),
        ("retrieve_node w", ["west1"]),
        ("show ", ["cluster", "logs"]),
        ("show cluster ", ["membership"]),
        ("show cluster membership ", []),
        ("help sub", ["subcluster"]),
        ("help subcluster r", ["retrieve"]),
        ("preview @", ["@all", "@east", "@west"]),
        ("preview W", ["west1"]),
        ("his", ["history"]),
        ("gather --", ["--batch", "--max-failures", "--timeout"]),
        ("gather --batch 5 --max-failures=2 p", ["paniclog", "pid"]),
        ("gather --timeout ", []),
        ("gather --timeout 5 p", ["paniclog", "pid"]),
        ("gather --timeout=5 @", ["@all", "@east", "@west"]),
        ("gather @east u", ["uptime"]),
        ("gather EAST2 u", ["uptime"]),
        ("gather pid ", []),
        ("json uni", ["unicast"]),
        ("json unicast w", ["west1"]),
        ("xml gather @w", ["@west"]),
        ("json jo", ["jobs"]),
        ("js", ["json"]),
        ("x", ["xml"]),
        ('unicast "ea', []),
        ("nonsense ", []),
        ("version ", []),
    ],
)
def test_the_words_that_may_follow(table: Table, line: str, found: list[str]) -> None:
    assert complete(table, line, KNOWN) == found


@pytest.mark.parametrize("line", ["", " ", "\t"])
def test_empty_line_offers_every_commands_first_word(table: Table, line: str) -> None:
    assert complete(table, line, KNOWN) == sorted({command.name.split()[0] for command in table.listed()})


@pytest.mark.parametrize("word", ["cluster duravip", "sched"])
def test_what_is_refused_is_not_offered(table: Table, word: str) -> None:
    assert complete(table, word, KNOWN) == []
    assert complete(table, f"{word} ", KNOWN) == []


def test_names_need_not_be_known(table: Table) -> None:
    assert complete(table, "unicast ", Known()) == []


def test_thousands_of_names_are_cut(table: Table) -> None:
    many = Known(nodes=tuple(f"n{number}" for number in range(5000)))
    assert len(complete(table, "unicast ", many)) == 1000


@pytest.mark.parametrize("end", ['"', "'", "\\", "\\ ", '""', " \\", "\0", "\n"])
def test_whatever_is_typed_is_no_fault(table: Table, end: str) -> None:
    for begin in ("", "gather ", "gather --timeout ", "broadcast ", "json ", "help ", "subcluster broadcast "):
        assert isinstance(complete(table, begin + end, KNOWN), list)


def test_commands_offered_for_nodes_exist_on_nodes(folder: Path) -> None:
    node = EcNode(NodeSettings(redis="redis://127.0.0.1:1/0", listen=(str(folder / "n"),)), Store())
    alone = {"complete", "json", "xml", *(f"config {word}" for word in ("begin", "replay", "commit", "rollback"))}
    listed = [command for command in node.table.listed() if command.name not in alone]
    assert sorted(ON_NODES) == sorted(command.name for command in listed)
    assert {command.name: command.danger for command in listed if command.danger} == DANGEROUS_ON_NODES
    assert {command.name for command in listed if command.changes} == CHANGE_NODES


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("preview @ro", ["@role:db", "@role:mta"]),
        ("gather @role:m", ["@role:mta"]),
        ("gather @east&role:m", ["@east&role:mta"]),
        ("gather @east&@", ["@east&@all", "@east&@east", "@east&@os:linux", "@east&@role:db", "@east&@role:mta"]),
        ("gather (@role:mta,E", ["(@role:mta,east1"]),
        ("gather @all!ro", ["@all!role:db", "@all!role:mta"]),
        ("gather east1&@east pi", ["pid"]),
    ],
)
def test_sets_and_tags_of_a_target_are_completed(table: Table, line: str, found: list[str]) -> None:
    assert complete(table, line, TAGGED) == found
