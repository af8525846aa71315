"""Whether VIPs may rest on the Redis that is called now, and whether it is still the one to call."""

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
    """Looks at the server again and again; `on_change` is called when `refusal` has changed."""

    def __init__(self, link: Link) -> None:
        self.refusal = NOT_LOOKED
        """Why nothing is carried; "" where nothing speaks against it."""
        self.on_change: Callable[[], None] = lambda: None
        self._link = link
        self._doubted = asyncio.Event()

    def doubt(self) -> None:
        """An answer came that no majority of Redis's copies has: another server may have taken over."""
        self._doubted.set()

    async def watch(self) -> None:
        """Keep looking until cancelled."""
        while True:
            self._doubted.clear()
            # Also for the number of copies, which may have grown.
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
