"""A manager and nodes in the test's own event loop. Tests give them commands as an operator does."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from eccmgr.commands.table import Call, Command, Param
from eccmgr.errors import CommandError
from eccmgr.manager import Manager
from eccmgr.redis.connect import Link
from tests import daemons
from tests.waiting import wait_until
from worker.node import EcNode


@dataclass
class Fleet:
    """The daemons of one test. Every node has the commands of `trial_commands` too."""

    url: str
    cluster: str
    folder: Path
    stack: contextlib.AsyncExitStack
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    """`hold` answers once it is set."""
    ran: list[str] = field(default_factory=list)
    """The nodes that ran `mark` or began `hold`, in order."""
    managers: list[Manager] = field(default_factory=list)

    async def manager(self, name: str = "barca", **more: object) -> Manager:
        """Add a manager. `ask` gives its commands to the first one."""
        made = daemons.manager(self.url, self.cluster, self.folder, name, **more)
        await self.stack.enter_async_context(daemons.running(made))
        self.managers.append(made)
        return made

    async def node(self, name: str, subcluster: str | None = "default", deaf: bool = False, **more: object) -> EcNode:
        """Add a node. A deaf node is alive and never hears a command."""
        made = daemons.node(self.url, self.cluster, self.folder, name, subcluster, **more)
        made.table.add(*self.trial_commands(made))
        if deaf:
            made.executor.heard = made.executor.read_up = _ignore  # type: ignore[method-assign]
        await self.stack.enter_async_context(daemons.running(made))
        return made

    async def ask(self, command: str, manager: int = 0) -> str:
        """The answer of a manager."""
        (answer,) = await daemons.ask(str(self.managers[manager].endpoints[0].path), command)
        return answer

    async def lines(self, command: str, manager: int = 0) -> list[str]:
        """The lines of an answer after its header. The answer must have a header."""
        header, *lines = (await self.ask(command, manager)).splitlines()
        assert header.startswith("# "), header
        return lines

    async def broadcast(self, command: str) -> str:
        """Send `command`, which must succeed; return its id."""
        answer = await self.ask(f"broadcast {command}")
        assert answer.startswith("Broadcast "), answer
        return answer.split()[1]

    async def shows(self, command: str, *expected: str) -> None:
        """Wait until the lines after the header of `command`'s answer are those `expected`."""

        async def shown() -> bool:
            return (await self.ask(command)).splitlines()[1:] == list(expected)

        await wait_until(shown, f"{command} shows {expected}")

    def trial_commands(self, node: EcNode) -> tuple[Command, ...]:
        async def mark(_call: Call) -> str:
            self.ran.append(node.session.identity.name)
            return "marked"

        async def hold(_call: Call) -> str:
            self.ran.append(node.session.identity.name)
            await self.gate.wait()
            return "held"

        async def repeat(call: Call) -> str:
            return "x" * int(call.args[0])

        async def fail(_call: Call) -> str:
            raise CommandError("it cannot be done")

        return (
            Command("mark", "", mark),
            Command("hold", "", hold),
            Command("repeat", "", repeat, (Param("N"),)),
            Command("fail", "", fail),
        )


async def die(node: EcNode) -> None:
    """End `node` as a kill does: it finishes nothing and tells nobody."""

    node.finish = node.session.leave = _nothing  # type: ignore[method-assign]
    node.stop()


async def _nothing() -> None:
    pass


def _ignore(*_message: object) -> None:
    pass


@contextlib.asynccontextmanager
async def hearing(link: Link, channel: str) -> AsyncIterator[list[bytes]]:
    """The messages on `channel` during the block."""
    heard: list[bytes] = []

    def hear(push: list[bytes]) -> None:
        if push[0] == b"message":
            heard.append(push[2])

    wire = await link.subscribe([channel], hear)
    try:
        yield heard
    finally:
        wire.close()
