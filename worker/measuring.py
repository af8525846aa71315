"""What a node tells of itself to a scrape, and the command that shows it."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from eccmgr.commands.table import Call, Command
from eccmgr.tally import Histogram
from worker.duravip.changes import Figures

_ABOUT = """\
The floating addresses that this node carries, changes of ownership by kind (acquired, taken over, moved, released,
lost), the outage of the last takeover, the age of the lease, and whether the fence is open; the commands that it ran,
and how long they took; its jobs by state. Counted since the node was started. Http_Listener serves the same."""


@dataclass(frozen=True)
class NodeFigures:
    """The figures of a node. `jobs` are numbers by state; `redis_up`: Redis answered the last call."""

    cluster: str
    redis_up: bool
    vips: Figures
    ran: Mapping[tuple[str, str], int]
    known_commands: frozenset[str]
    took: Histogram
    jobs: Mapping[str, int]


class NodeMetrics:
    """The metrics of one node, whose `figures` it asks for at each scrape."""

    def __init__(self, figures: Callable[[], NodeFigures]) -> None:
        self._figures = figures

    def command(self) -> Command:
        """The entry in the table of commands."""
        about = "this node's metrics, in Prometheus' text format"
        return Command("metrics", about, self._show, about=_ABOUT, idempotent=True)

    async def scrape(self) -> bytes:
        """The metrics for a scrape over HTTP."""
        return f"{await self._text()}\n".encode()

    async def _show(self, _call: Call) -> str:
        return await self._text()

    async def _text(self) -> str:
        return await asyncio.to_thread(_exposition, self._figures())


def _exposition(figures: NodeFigures) -> str:
    # Imported only here: the library takes memory and time that most nodes never need.
    from worker.metrics import node_exposition

    return node_exposition(figures)
