"""Decides whether a node believes a command, release or withdrawal that it hears: a trusted manager must have signed
it.

A node that trusts no keys believes everything that reaches it through Redis.
"""

import time
from collections.abc import Callable
from typing import TypeVar

import structlog
from msgspec.structs import force_setattr as _set

from eccmgr.access.recipient import WARNED_MS, Recipient
from eccmgr.access.statements import CommandStatement, ReleaseStatement, Signed, SignedStatement, WithdrawalStatement
from eccmgr.access.trusted_keys import LONGEST_COMMAND, NotAuthentic, TrustedKeys, unverified
from eccmgr.node.messages import Message, Withdrawal

log = structlog.get_logger()

S = TypeVar("S", bound=SignedStatement)


class Authenticity:
    """Opens the messages to `recipient`, a node of `cluster`.

    `trusted` answers the keys of the managers, which may change at any time; `wall_ms` the time on the wall clock.
    """

    def __init__(
        self, cluster: str, recipient: Recipient, trusted: Callable[[], TrustedKeys], wall_ms: Callable[[], int]
    ) -> None:
        self._cluster = cluster
        self._recipient = recipient
        self._trusted = trusted
        self._wall_ms = wall_ms
        self._warned_of_skew = False

    def open(self, message: Message) -> None:
        """Read the statement of a command into `message`, which then has the text, the issuer and the target.

        The command may begin only until its statement, and the statement of its release, expire. Raises NotAuthentic if
        this node does not believe the command, or has to wait for its release.
        """
        if not (trusted := self._trusted()):
            if message.env:
                _fill(message, unverified(_signed(message.env, ""), CommandStatement, LONGEST_COMMAND), "")
            return
        now_ms = self._wall_ms()
        signed = _signed(message.env, message.sig)
        _, statement, digest = trusted.opened(signed, CommandStatement, self._cluster, now_ms, LONGEST_COMMAND)
        self._recipient.check(statement, message.id, now_ms)
        until_ms = statement.exp
        if statement.b is True:
            if not message.release_env:
                raise NotAuthentic("it goes out in batches, and it was not released to this node")
            release = self._open(trusted, message.release_env, message.release_sig, ReleaseStatement, now_ms)
            self._recipient.check_release(release, statement, digest, now_ms)
            until_ms = min(until_ms, release.exp)
        self._watch_skew(statement.iat - now_ms, message.id)
        _fill(message, statement, digest)
        begin_by = min(message.begin_by, time.monotonic() + (until_ms - now_ms) / 1000)
        _set(message, "begin_by", begin_by)

    def check_withdrawal(self, withdrawal: Withdrawal) -> None:
        """Raises NotAuthentic if no trusted manager withdraws this command now."""
        if not (trusted := self._trusted()):
            return
        now_ms = self._wall_ms()
        statement = self._open(trusted, withdrawal.env, withdrawal.sig, WithdrawalStatement, now_ms)
        if statement.id != withdrawal.id:
            raise NotAuthentic(f"its id is {withdrawal.id}, but {statement.id} was signed")
        self._recipient.check_times(statement, now_ms)

    def _open(self, trusted: TrustedKeys, env: str, sig: str, kind: type[S], now_ms: int) -> S:
        return trusted.open(_signed(env, sig), kind, self._cluster, now_ms)

    def _watch_skew(self, ahead_ms: int, command_id: str) -> None:
        """Warn that the clock of a manager is ahead: once, until a command comes from a clock that is not ahead."""
        ahead = ahead_ms > WARNED_MS
        if ahead and not self._warned_of_skew:
            log.warning("clocks differ", id=command_id, reason=f"sent {ahead_ms / 1000:.1f} s in the future")
        self._warned_of_skew = ahead


def _fill(message: Message, statement: CommandStatement, digest: str) -> None:
    _set(message, "text", statement.x)
    _set(message, "issuer", statement.u)
    _set(message, "target", statement.t)
    _set(message, "of", digest)


def _signed(env: str, sig: str) -> Signed:
    try:
        return Signed.read(env, sig)
    except ValueError:
        raise NotAuthentic("its signature cannot be read") from None
