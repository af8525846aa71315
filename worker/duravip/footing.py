"""Whether VIPs may rest on the Redis that is called now, and whether it is still the one to call."""

import asyncio
from collections.abc import Callable

import structlog

from eccmgr.errors import EccmgrError, RedisRefuses, RedisUnreachable
from eccmgr.redis.connect import Link

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
        self._is_unknown_said = False

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
                self._take(await self._policy())
                pause_s = _EACH_S
            except RedisUnreachable:
                pause_s = _AGAIN_S if self.refusal == NOT_LOOKED else _EACH_S
            try:
                async with asyncio.timeout(pause_s):
                    await self._doubted.wait()
            except TimeoutError:
                continue

    def _take(self, policy: str) -> None:
        if not policy and not self._is_unknown_said:
            self._is_unknown_said = True
            log.warning("redis does not tell its maxmemory-policy; VIPs rest on its being noeviction")
        refusal = f"Redis may evict keys: its maxmemory-policy is {policy}, and noeviction is needed"
        refusal = "" if policy in ("", "noeviction") else refusal
        if refusal != self.refusal:
            self.refusal = refusal
            if refusal:
                log.error("vips not carried", reason=refusal)
            self.on_change()

    async def _policy(self) -> str:
        """What Redis does when its memory is full; "" where it does not tell. Raises RedisUnreachable."""
        try:
            answer = await self._link.call("CONFIG", "GET", "maxmemory-policy")
            pairs = answer if isinstance(answer, dict) else dict(zip(answer[::2], answer[1::2], strict=True))
            if pairs:
                return str(next(iter(pairs.values())).decode())
        except EccmgrError as error:
            _pass_over(error)
        try:
            lines: bytes = await self._link.call("INFO", "memory")
        except EccmgrError as error:
            _pass_over(error)
            return ""
        found = (line.partition(":")[2] for line in lines.decode().split() if line.startswith("maxmemory_policy:"))
        return next(found, "")


def _pass_over(error: EccmgrError) -> None:
    """Raises `error` where it may pass; else whoever asked does without."""
    may_pass = error.soon or error.whole if isinstance(error, RedisRefuses) else isinstance(error, RedisUnreachable)
    if may_pass:
        raise error
    log.debug("not told by redis", reason=str(error))
