"""If a command is typed at the wrong kind of daemon, the answer says where it runs, and what to type here."""

import asyncio
import re

import pytest

from eccmgr.commands.caller import Caller
from eccmgr.commands.elsewhere import ASKED_OF_A_MANAGER, ASKED_OF_A_NODE, ON_MANAGERS
from eccmgr.commands.gate import Gate
from eccmgr.commands.manager import CLUSTER_REFUSAL
from eccmgr.commands.table import Table
from eccmgr.config.live.store import Store
from eccmgr.errors import CommandError
from eccmgr.manager import Manager
from eccmgr.settings import ManagerSettings, NodeSettings
from worker.node import EcNode


@pytest.fixture(scope="module")
def manager() -> Table:
    return Manager(ManagerSettings(redis="redis://127.0.0.1:1/0"), Store()).table


@pytest.fixture(scope="module")
def node() -> Table:
    return EcNode(NodeSettings(redis="redis://127.0.0.1:1/0"), Store()).table


def said(table: Table, line: str) -> str:
    with pytest.raises(CommandError) as raised:
        asyncio.run(Gate(table).run(line, Caller("ann")))
    return str(raised.value)


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        (
            "show cluster membership",
            "show cluster membership runs on the cluster manager, not on a node; use: cluster membership",
        ),
        ("SHOW", "show cluster membership runs on the cluster manager, not on a node; use: cluster membership"),
        ("info", "info runs on the cluster manager, not on a node; use: cluster info"),
        ("gather pid", "gather runs on the cluster manager, not on a node; use: the COMMAND alone"),
        ("history", "history runs on the cluster manager, not on a node"),
        ("help retrieve", "retrieve runs on the cluster manager, not on a node"),
    ],
)
def test_a_node_names_what_it_has_instead(node: Table, line: str, answer: str) -> None:
    assert said(node, line) == answer


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("metrics", "metrics runs on a node, not on the cluster manager; use: broadcast metrics"),
        ("cluster membership", CLUSTER_REFUSAL),
    ],
)
def test_a_manager_names_what_it_has_instead(manager: Table, line: str, answer: str) -> None:
    assert said(manager, line) == answer


def test_what_a_manager_alone_has_is_listed(manager: Table, node: Table) -> None:
    names = {command.name for command in manager.commands.values()}
    foreign = {name for name in names if name not in node.commands and not re.match("cluster|sched", name)}
    assert sorted(foreign) == sorted(ON_MANAGERS)


def test_what_is_named_instead_exists_here(manager: Table, node: Table) -> None:
    for name, table in ((ASKED_OF_A_NODE, node), (ASKED_OF_A_MANAGER, manager)):
        for instead in name.instead.values():
            assert "COMMAND" in instead or table.find(instead)


@pytest.mark.parametrize("line", ["pid", "uptime", "sysinfo", "memory"])
def test_a_manager_answers_for_itself(manager: Table, node: Table, line: str) -> None:
    shape = re.compile(r"[\d.]+|(?<=Host: ).*")
    answers = [asyncio.run(Gate(table).run(line, Caller("ann"))).text for table in (manager, node)]
    assert shape.sub("N", answers[0]) == shape.sub("N", answers[1])
