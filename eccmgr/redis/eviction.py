"""Watches Redis's eviction policy: a server with full memory may evict keys, and so drop our data without a word."""

import asyncio

import structlog

from eccmgr.errors import EccmgrError, RedisRefuses, RedisUnreachable
from eccmgr.redis import replies
from eccmgr.redis.connect import Link

log = structlog.get_logger()

NOEVICTION = "noeviction"
_EACH_S, _AGAIN_S = 10.0, 0.5
_LOST = "commands, schedules and addresses may vanish"


class EvictionWatch:
    """Asks the present server for its policy at intervals, and reports a bad one in the log and in `remark`."""

    def __init__(self, link: Link) -> None:
        self.policy: str | None = None
        """The server's maxmemory-policy; "" if the server does not report it, None before the server was asked."""
        self._link = link
        self._moved = asyncio.Event()
        link.on_move.append(self._moved.set)

    @property
    def remark(self) -> str:
        """The warning for an operator; "" unless the server may evict keys."""
        if self.policy in (None, "", NOEVICTION):
            return ""
        return f"Redis evicts keys (maxmemory-policy {self.policy}): {_LOST}; set {NOEVICTION}"

    async def watch(self) -> None:
        """Watch until cancelled."""
        while True:
            self._moved.clear()
            try:
                self._take(await policy_of(self._link))
                pause_s = _EACH_S
            except RedisUnreachable:
                pause_s = _AGAIN_S if self.policy is None else _EACH_S
            # When a server answers again, it may have started with another configuration.
            waits = (asyncio.ensure_future(self._moved.wait()), asyncio.ensure_future(self._link.pause(pause_s)))
            try:
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for wait in waits:
                    wait.cancel()

    def _take(self, policy: str) -> None:
        earlier, self.policy = self.policy, policy
        if policy == earlier:
            return
        if not policy:
            log.warning("redis does not tell its maxmemory-policy", reason=f"unless it is {NOEVICTION}, {_LOST}")
        elif policy != NOEVICTION:
            remedy = f"set maxmemory-policy to {NOEVICTION}"
            log.warning("redis evicts keys", policy=policy, reason=_LOST, remedy=remedy)
        elif earlier:
            log.info("redis no longer evicts keys")


async def policy_of(link: Link) -> str:
    """The maxmemory-policy of the present server; "" if the server does not report it. Raises RedisUnreachable."""
    try:
        pairs = replies.fields(await link.call("CONFIG", "GET", "maxmemory-policy"))
        if pairs:
            return next(iter(pairs.values())).decode(errors="replace")
    except EccmgrError as error:
        _pass_over(error)
    try:
        lines = replies.text(await link.call("INFO", "memory"))
    except EccmgrError as error:
        _pass_over(error)
        return ""
    policies = (
        line.partition(":")[2]
        for line in lines.decode(errors="replace").split()
        if line.startswith("maxmemory_policy:")
    )
    return next(policies, "")


def _pass_over(error: EccmgrError) -> None:
    """Raise `error` if it may pass later. If not, the caller does without the answer."""
    may_pass = error.soon or error.whole if isinstance(error, RedisRefuses) else isinstance(error, RedisUnreachable)
    if may_pass:
        raise error
    log.debug("not told by redis", reason=str(error))
