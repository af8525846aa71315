"""Notes in the audit of the cluster how the configuration of this daemon has changed."""

import asyncio
from collections import deque

import structlog

from eccmgr.cluster.calls.accounts import note
from eccmgr.cluster.options import ClusterOptions
from eccmgr.config.live.parts import Part, Spawn
from eccmgr.config.live.store import Proposal
from eccmgr.errors import EccmgrError, RedisUnreachable
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys

log = structlog.get_logger()

_WAITING_MAX = 100
_SHOWN = 20
_TRY_AGAIN_S = 1.0


class ConfigurationNotes(Part):
    """Adds an entry for each change that is in force. While Redis is away, the latest entries wait."""

    title = "notes"

    def __init__(self, link: Link, keys: Keys, options: ClusterOptions, by: str) -> None:
        """`by` names this daemon."""
        self._link, self._keys, self._options, self._by = link, keys, options, by
        self._waiting: deque[dict[str, str]] = deque(maxlen=_WAITING_MAX)
        self._some = asyncio.Event()

    def changed(self, proposal: Proposal) -> None:
        """A change is in force."""
        if not proposal.changes:
            return
        places = [change.where for change in proposal.changes]
        more = f" and {len(places) - _SHOWN} more" if len(places) > _SHOWN else ""
        shown = f"{', '.join(places[:_SHOWN])}{more}"
        self._waiting.append({"daemon": self._by, "user": proposal.user, "options": shown})
        self._some.set()

    async def start(self, spawn: Spawn) -> None:
        """Begin to write."""
        spawn(self._write_all(), "notes")

    async def _write_all(self) -> None:
        while True:
            await self._some.wait()
            self._some.clear()
            while self._waiting:
                fields = self._waiting.popleft()
                try:
                    await self._link.run(note(self._keys, self._options, "configuration", fields))
                except EccmgrError as error:
                    if isinstance(error, RedisUnreachable) and not error.asked:
                        self._waiting.appendleft(fields)
                        await asyncio.sleep(_TRY_AGAIN_S)
                    else:
                        log.warning("change of the configuration not noted in the audit", reason=str(error))
