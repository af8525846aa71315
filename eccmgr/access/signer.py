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
    PaceStatement,
    ReleaseStatement,
    ScheduleStatement,
    ShownStatement,
    Signed,
    SignedStatement,
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
        self,
        command_id: str,
        target: tuple[str, ...],
        text: str,
        user: str,
        life_ms: int,
        *,
        rolling: bool,
        where: str = "",
    ) -> Signed:
        """Sign a command that may begin within `life_ms`, and within an hour at the most; with `where`, only
        on nodes in that target."""
        iat, exp = self._life(life_ms)
        batches: Literal[True] | msgspec.UnsetType = True if rolling else msgspec.UNSET
        statement = CommandStatement(
            c=self._cluster, id=command_id, t=target, x=text, u=user, iat=iat, exp=exp, b=batches
        )
        return self._signed(msgspec.structs.replace(statement, w=where) if where else statement)

    def shown(self, command_id: str, command: Signed, target: tuple[str, ...], text: str, user: str) -> Signed:
        """Sign the text of the command `command` without its secrets."""
        of = command.digest
        return self._signed(ShownStatement(c=self._cluster, id=command_id, of=of, t=target, x=text, u=user))

    def pace(self, command_id: str, command: Signed, pace: str) -> Signed:
        """Sign the pace of the rolling command `command`."""
        return self._signed(PaceStatement(c=self._cluster, id=command_id, of=command.digest, pace=pace))

    def release(self, command_id: str, of: str, nodes: Sequence[str], life_ms: int) -> Signed:
        """Sign that `nodes`, in small letters, may begin the rolling command whose statement has the digest `of` within
        `life_ms`."""
        iat, exp = self._life(life_ms)
        return self._signed(
            ReleaseStatement(c=self._cluster, id=command_id, of=of, nodes=tuple(nodes), iat=iat, exp=exp)
        )

    def withdrawal(self, command_id: str, user: str, life_ms: int) -> Signed:
        """Sign that `user` withdraws a command; nodes heed it for `life_ms`."""
        iat, exp = self._life(life_ms)
        return self._signed(WithdrawalStatement(c=self._cluster, id=command_id, u=user, iat=iat, exp=exp))

    def member(self, node: str, private_name: str, *, replace: bool) -> Signed:
        """Sign that the session `private_name` is the node's own; `replace`: it may take over the node's name."""
        now = self._wall_ms()
        return self._signed(MemberStatement(c=self._cluster, name=node, private=private_name, replace=replace, iat=now))

    def schedule(self, statement: ScheduleStatement) -> Signed:
        """Sign a schedule."""
        return self._signed(statement)

    def _life(self, life_ms: int) -> tuple[int, int]:
        """The times between which a statement that is made now counts."""
        now = self._wall_ms()
        return now, now + min(life_ms, LONGEST_LIFE_MS)

    def _signed(self, statement: SignedStatement) -> Signed:
        return UNSIGNED if self.key is None else signed(statement, self.key)
