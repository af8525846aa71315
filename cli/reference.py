"""Writes the reference pages of commands and options, from the tables that the programs use."""

import asyncio
import sys
from collections.abc import Iterable
from pathlib import Path

from eccmgr.commands.table import Command
from eccmgr.config.live.store import Store
from eccmgr.config.schema.reference import reference_page
from eccmgr.manager import Manager
from eccmgr.modules.catalogue import installed
from eccmgr.settings import ManagerSettings, NodeSettings
from worker.node import EcNode

_HEAD = """# Commands

Written by `make reference`; change the command table instead. The console has the same text:
`help`, `help COMMAND`. Prefix any command with `json` or `xml` for a machine's form of the same answer.
"""


def pages() -> dict[str, str]:
    """Each page in Markdown, by the name of its file."""
    return {"commands.md": asyncio.run(_commands()), "configuration.md": reference_page(installed().schema)}


async def _commands() -> str:
    manager, node = Manager(ManagerSettings(), Store()), EcNode(NodeSettings(), Store())
    # The commands of built-in modules exist once these modules run.
    await manager.modules.start(manager.store.view())
    of_manager = manager.table.listed()
    await manager.modules.stop()
    return "\n".join(
        (
            _HEAD,
            "## On a manager\n",
            *_entries(of_manager),
            "## On a node\n",
            "These run on the node's own console; a broadcast or a gather carries them to any number of nodes.\n",
            *_entries(node.table.listed()),
        )
    )


def _entries(commands: Iterable[Command]) -> Iterable[str]:
    for command in commands:
        yield f"### `{command.usage}`\n"
        brief = command.brief[0].upper() + command.brief[1:]
        about = f" {' '.join(command.about.split())}" if command.about else ""
        yield f"{brief}.{about}\n"


if __name__ == "__main__":
    for name, text in pages().items():
        (Path(sys.argv[1]) / name).write_text(text)
