"""The checks of a node: it makes them on a command that a manager has signed, before it runs the command."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import msgspec

from eccmgr.access.statements import CommandStatement, ReleaseStatement
from eccmgr.access.trusted_keys import NotAuthentic

EARLY_MS = 5_000
"""The maximum by which the signer's clock may be ahead of the node's."""
WARNED_MS = 2_000
"""If the signer's clock is further ahead than this, the node warns."""
LONGEST_LIFE_MS = 3_600_000


class _Timed(Protocol):
    @property
    def iat(self) -> int: ...
    @property
    def exp(self) -> int: ...


@dataclass(frozen=True)
class Recipient:
    """A node's own name and subcluster, and the time at which its process began (wall clock, ms).

    A node may change its subcluster while it runs. `holds` answers whether a folded set of names holds this node; it
    raises ValueError for a text that is not a set. `fits` answers whether the node is in a target by its own subcluster
    and tags.
    """

    name: str
    subcluster: Callable[[], str]
    began_ms: int
    holds: Callable[[str], bool]
    fits: Callable[[str], bool] = lambda _where: False

    def check(self, statement: CommandStatement, command_id: str, now_ms: int) -> None:
        """Check that `statement` is the command `command_id`, for this node, now. Raises NotAuthentic."""
        if statement.id != command_id:
            raise NotAuthentic(f"its id is {command_id}, but {statement.id} was signed")
        if not self._is_meant(statement.t):
            raise NotAuthentic(f"it was signed for {' '.join(statement.t)[:200]}, not for this node")
        if statement.w is not msgspec.UNSET and not self.fits(statement.w):
            raise NotAuthentic(f"it was signed for {statement.w[:200]}, where this node is not")
        self.check_times(statement, now_ms)

    def check_release(self, release: ReleaseStatement, command: CommandStatement, digest: str, now_ms: int) -> None:
        """Check that `release` lets this node begin the rolling command `command` now. Raises NotAuthentic.

        `digest` is that of the command's statement.
        """
        if release.id != command.id or release.of != digest:
            raise NotAuthentic("its release is for another command")
        if self.name.lower() not in release.nodes:
            raise NotAuthentic("its release is for other nodes")
        self.check_times(release, now_ms)

    def check_times(self, statement: _Timed, now_ms: int) -> None:
        """Check that `statement` counts at `now_ms`, and was made in the life of this process. Raises NotAuthentic."""
        ahead_ms = statement.iat - now_ms
        if ahead_ms > EARLY_MS:
            raise NotAuthentic(f"sent {_seconds(ahead_ms)} in the future by this node's clock")
        if statement.exp < now_ms:
            raise NotAuthentic(f"expired {_seconds(now_ms - statement.exp)} ago by this node's clock")
        if statement.exp - statement.iat > LONGEST_LIFE_MS:
            raise NotAuthentic("it may begin for longer than an hour")
        if statement.iat < self.began_ms:
            raise NotAuthentic("it was sent before this node's process began")

    def _is_meant(self, target: tuple[str, ...]) -> bool:
        match target:
            case ("all",):
                return True
            case ("sub", name):
                return name.lower() == self.subcluster().lower()
            case ("node", name):
                return name.lower() == self.name.lower()
            case ("set", names):
                try:
                    return self.holds(names)
                except ValueError:
                    return False
        return False


def _seconds(ms: int) -> str:
    return f"{max(1, round(ms / 1000))} s"
