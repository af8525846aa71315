"""Watches the present Redis: whether it is still the right server, and whether VIPs may rest on it."""

import asyncio
from collections.abc import Callable

import structlog

from eccmgr.errors import RedisUnreachable
from eccmgr.redis.connect import Link
from eccmgr.redis.eviction import NOEVICTION, policy_of

log = structlog.get_logger()

NOT_LOOKED = "whether Redis evicts keys is not known yet"
_EACH_S, _AGAIN_S = 10.0, 0.2


class Footing:
    """Checks the server again and again; calls `on_change` when `refusal` has changed."""

    def __init__(self, link: Link) -> None:
        self.refusal = NOT_LOOKED
        """The reason why no VIP may be carried; "" if VIPs may be carried."""
        self.on_change: Callable[[], None] = lambda: None
        self._link = link
        self._doubted = asyncio.Event()

    def doubt(self) -> None:
        """An answer came without a majority of Redis's copies: another server may have taken over."""
        self._doubted.set()

    async def watch(self) -> None:
        """Watch until cancelled."""
        while True:
            self._doubted.clear()
            # This also learns the number of copies, which may have grown.
            await self._link.look_again()
            try:
                self._take(await policy_of(self._link))
                pause_s = _EACH_S
            except RedisUnreachable:
                pause_s = _AGAIN_S if self.refusal == NOT_LOOKED else _EACH_S
            try:
                async with asyncio.timeout(pause_s):
                    await self._doubted.wait()
            except TimeoutError:
                continue

    def _take(self, policy: str) -> None:
        refusal = f"Redis may evict keys: its maxmemory-policy is {policy}, and {NOEVICTION} is needed"
        refusal = "" if policy in ("", NOEVICTION) else refusal
        if refusal != self.refusal:
            self.refusal = refusal
            if refusal:
                log.error("vips not carried", reason=refusal)
            self.on_change()
