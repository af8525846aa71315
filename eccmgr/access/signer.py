"""The signer of a manager: makes and signs the statements about its commands."""

from collections.abc import Callable, Sequence
from typing import Literal

import msgspec

from eccmgr.access.keys import SigningKey
from eccmgr.access.recipient import LONGEST_LIFE_MS
from eccmgr.access.statements import (
    UNSIGNED,
    CommandStatement,
    MemberStatement,
    ReleaseStatement,
    ScheduleStatement,
    ShownStatement,
    Signed,
    WithdrawalStatement,
    signed,
)

RELEASED_AT_ONCE = 200
"""The maximum number of nodes in one release: no script may hold the server for long."""


class Signer:
    """Signs for one manager of a cluster with `key`; without a key nothing is signed.

    `wall_ms` answers the time on the wall clock.
    """

    def __init__(self, key: SigningKey | None, cluster: str, wall_ms: Callable[[], int]) -> None:
        self.key = key
        self._cluster = cluster
        self._wall_ms = wall_ms

    def command(
        self, command_id: str, target: tuple[str, ...], text: str, user: str, life_ms: int, *, rolling: bool
    ) -> Signed:
        """Sign a command that may begin within `life_ms`, and within an hour at the most."""
        if self.key is None:
            return UNSIGNED
        now, batches = self._wall_ms(), _batches(rolling=rolling)
        life = min(life_ms, LONGEST_LIFE_MS)
        statement = CommandStatement(
            c=self._cluster, id=command_id, t=target, x=text, u=user, iat=now, exp=now + life, b=batches
        )
        return signed(statement, self.key)

    def shown(self, command_id: str, command: Signed, target: tuple[str, ...], text: str, user: str) -> Signed:
        """Sign the text of the command `command` without its secrets."""
        if self.key is None:
            return UNSIGNED
        made = ShownStatement(c=self._cluster, id=command_id, of=command.digest, t=target, x=text, u=user)
        return signed(made, self.key)

    def release(self, command_id: str, command: Signed, nodes: Sequence[str], life_ms: int) -> Signed:
        """Sign that `nodes`, in small letters, may begin the rolling command `command` within `life_ms`."""
        if self.key is None:
            return UNSIGNED
        now = self._wall_ms()
        statement = ReleaseStatement(
            c=self._cluster,
            id=command_id,
            of=command.digest,
            nodes=tuple(nodes),
            iat=now,
            exp=now + min(life_ms, LONGEST_LIFE_MS),
        )
        return signed(statement, self.key)

    def withdrawal(self, command_id: str, user: str, life_ms: int) -> Signed:
        """Sign that `user` withdraws a command; nodes heed it for `life_ms`."""
        if self.key is None:
            return UNSIGNED
        now = self._wall_ms()
        life = min(life_ms, LONGEST_LIFE_MS)
        return signed(WithdrawalStatement(c=self._cluster, id=command_id, u=user, iat=now, exp=now + life), self.key)

    def member(self, node: str, private_name: str, *, replace: bool) -> Signed:
        """Sign that the session `private_name` is the node's own; `replace`: it may take over the node's name."""
        if self.key is None:
            return UNSIGNED
        made = MemberStatement(c=self._cluster, name=node, private=private_name, replace=replace, iat=self._wall_ms())
        return signed(made, self.key)

    def schedule(self, statement: ScheduleStatement) -> Signed:
        """Sign a schedule."""
        return UNSIGNED if self.key is None else signed(statement, self.key)


def _batches(*, rolling: bool) -> Literal[True] | msgspec.UnsetType:
    return True if rolling else msgspec.UNSET
