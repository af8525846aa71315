"""A node with the commands of a soak: one must run once, one fails, one has a long answer, one waits."""

import argparse
import asyncio
import os
import sys
from typing import Any

from cli.daemons import DaemonProgram
from eccmgr.commands.table import Call, Command, Param
from eccmgr.errors import CommandError
from eccmgr.settings import NodeSettings
from worker.node import EcNode


def soaking(node: EcNode) -> EcNode:
    """Give `node` its commands."""

    async def touch(_call: Call) -> str:
        return "touched"

    async def fail(_call: Call) -> str:
        raise CommandError("it cannot be done")

    async def fill(call: Call) -> str:
        # A text that compresses badly.
        return os.urandom(int(call.args[0]) // 2).hex()

    async def hold(_call: Call) -> str:
        await asyncio.sleep(60)
        return "held"

    node.table.add(
        Command("touch", "", touch),
        Command("fail", "", fail),
        Command("fill", "", fill, (Param("BYTES"),)),
        Command("hold", "", hold),
    )
    return node


def main() -> None:
    """Run such a node in the foreground."""
    parser = argparse.ArgumentParser()
    for flag in ("name", "redis", "cluster", "config", "listen"):
        parser.add_argument(f"--{flag}", required=True)
    flags: dict[str, Any] = vars(parser.parse_args())
    flags["listen"] = (flags["listen"],)
    sys.exit(DaemonProgram(EcNode.program, NodeSettings, "", lambda *made: soaking(EcNode(*made))).run(flags))
