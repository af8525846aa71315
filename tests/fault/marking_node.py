"""A node for these tests, with one more command: `mark TOKEN HOLD_MS` notes each of its runs in a file.

A line of the file has the event (`heard`, `ran`, `done`), the token, the node, its process id, and the time on the
clock that all processes of a host share.
"""

import argparse
import asyncio
import contextvars
import json
import os
import sys
import time
from typing import Any

from cli.daemons import DaemonProgram
from eccmgr.cluster.members import Life
from eccmgr.commands.table import Call, Command, Param
from eccmgr.node.messages import Message, Response
from eccmgr.settings import NodeSettings
from worker.node import EcNode

_began: contextvars.ContextVar[float] = contextvars.ContextVar("_began")


class Marks:
    """The file. A line is written whole or not at all, even if others write too."""

    def __init__(self, path: str, node: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._node = node

    def note(self, what: str, token: str, at: float) -> None:
        """Write one line."""
        os.write(self._file, f"{what} {token} {self._node} {os.getpid()} {at:.6f}\n".encode())


def marking(node: EcNode, marks: Marks) -> EcNode:
    """Give `node` its command, and let it note what it hears."""
    hear, execute = node.executor.heard, node.executor._execute

    def heard(channel: str, raw: bytes) -> None:
        if (words := _words(raw))[:1] == ["mark"]:
            marks.note("heard", words[1], time.monotonic())
        hear(channel, raw)

    async def executed(message: Message, life: Life) -> Response:
        # The time at which the node decided to run it: a stop may come before the command's first step.
        _began.set(time.monotonic())
        return await execute(message, life)

    async def mark(call: Call) -> str:
        marks.note("ran", call.args[0], _began.get())
        await asyncio.sleep(int(call.args[1]) / 1000)
        marks.note("done", call.args[0], time.monotonic())
        return "marked"

    node.executor.heard = heard  # type: ignore[method-assign]
    node.executor._execute = executed  # type: ignore[method-assign]
    node.table.add(Command("mark", "", mark, (Param("TOKEN"), Param("HOLD_MS"))))
    return node


def _words(raw: bytes) -> list[str]:
    try:
        return str(json.loads(raw)["text"]).split()
    except (ValueError, LookupError, TypeError):
        return []


def main() -> None:
    """Run such a node in the foreground."""
    parser = argparse.ArgumentParser()
    for flag in ("name", "redis", "cluster", "config", "subcluster", "listen", "marks"):
        parser.add_argument(f"--{flag}", required=True)
    flags: dict[str, Any] = vars(parser.parse_args())
    marks = Marks(flags.pop("marks"), flags["name"])
    flags["listen"] = (flags["listen"],)
    program = DaemonProgram(
        EcNode.program, NodeSettings, "", lambda settings, store, files: marking(EcNode(settings, store, files), marks)
    )
    sys.exit(program.run(flags))
