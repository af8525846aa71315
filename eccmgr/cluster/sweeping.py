"""The leader's sweeping: it ends the sessions of members that fell silent, and forgets old things."""

import asyncio

import structlog

from eccmgr.cluster.calls import membership
from eccmgr.cluster.calls.membership import Swept
from eccmgr.cluster.options import ClusterOptions
from eccmgr.cluster.session import Session
from eccmgr.errors import EccmgrError
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys

log = structlog.get_logger()

_SHORTEST_PAUSE_S = 0.01


class Sweeper:
    """Sweeps for one member while that member leads, from `run` until cancelled."""

    def __init__(self, link: Link, keys: Keys, options: ClusterOptions, session: Session) -> None:
        self._link = link
        self._keys = keys
        self._options = options
        self._session = session
        self._leading = asyncio.Event()

    def notice(self) -> None:
        """A heartbeat has told which member leads."""
        if self._session.leads:
            self._leading.set()

    async def run(self) -> None:
        """Sweep with each heartbeat interval, and as soon as a session lapses."""
        while True:
            await self._leading.wait()
            if not self._session.leads:
                self._leading.clear()
                continue
            pause_s = self._options.heartbeat_s
            swept = await self.sweep()
            if swept is not None and swept.lapses_in_ms is not None:
                pause_s = max(_SHORTEST_PAUSE_S, min(pause_s, swept.lapses_in_ms / 1000))
            await asyncio.sleep(pause_s)

    async def sweep(self) -> Swept | None:
        """Sweep once; None if Redis did not do it. The next sweep makes up for that."""
        try:
            return await self._link.run(membership.sweep(self._keys, self._options))
        except EccmgrError as error:
            log.debug("sweep failed", reason=str(error))
            return None
