"""The commands that a node has taken: the ids of all, and the runs of those that have not ended."""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field

_REMEMBERED_MAX = 100_000


@dataclass
class Run:
    """A command that this node has taken and not finished: its progress, and a way to cancel it."""

    withdrawn: bool = False
    claimed: bool = False
    scope: asyncio.Timeout | None = None

    def withdraw(self) -> None:
        """Cancel the command if it runs. If it has not begun, it will never begin."""
        self.withdrawn = True
        if self.scope is not None and not self.scope.expired():
            self.scope.reschedule(asyncio.get_running_loop().time())


@dataclass
class Claims:
    """The ids of the commands that this node has taken, until they expire. Redis may forget a claim; the node still
    runs no command twice."""

    _until: OrderedDict[str, float] = field(default_factory=OrderedDict)

    def holds(self, command_id: str) -> bool:
        """Whether `command_id` is taken."""
        return command_id in self._until

    def take(self, command_id: str, now: float, keep_s: float) -> bool:
        """Take `command_id`; answers whether it was new. The id is kept for `keep_s`, or until very many others have
        come."""
        while self._until and (len(self._until) >= _REMEMBERED_MAX or next(iter(self._until.values())) <= now):
            self._until.popitem(last=False)
        if command_id in self._until:
            return False
        self._until[command_id] = now + keep_s
        return True
