"""The part of a manager that collects logs, and follows the configuration in that."""

import asyncio
import functools
from collections.abc import Sequence

import structlog

from eccmgr.cluster.options import ClusterOptions
from eccmgr.cluster.session import Session
from eccmgr.config.live.effective import ScopeView
from eccmgr.config.live.parts import Part, Prepared, Spawn, Takeover
from eccmgr.config.syntax.changes import Change
from eccmgr.errors import EccmgrError
from eccmgr.logs.collection.gathering.checkpoint import Notes
from eccmgr.logs.collection.gathering.gatherer import Gatherer
from eccmgr.logs.collection.gathering.hanging import ends, in_thread
from eccmgr.logs.collection.gathering.stand import Unit
from eccmgr.logs.collection.gathering.targets import Modes, Targets
from eccmgr.logs.collection.gathering.writing import Writer, reason
from eccmgr.logs.collection.options import GatheringOptions, gathering_options
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys

log = structlog.get_logger()

_RETRY_S = 5.0
_NOTES = ".collected"
_END_S = 5.0


class GatheringPart(Part):
    """Collects the logs of nodes, if the configuration says where to."""

    title = "collected logs"

    def __init__(self, link: Link, keys: Keys, options: ClusterOptions, session: Session, view: ScopeView) -> None:
        """Raises ConfigError."""
        self._link, self._keys, self._options, self._session = link, keys, options, session
        self._manager = session.identity.name
        self.how = gathering_options(view, self._manager)
        self.gatherer: Gatherer | None = None
        self.fault = ""
        """The reason why nothing can be collected; "" if all is well."""
        self._changed = asyncio.Event()
        self._work: asyncio.Task[None] | None = None

    def check(self, view: ScopeView) -> None:
        """Raises ConfigError if `Logs` makes no sense."""
        gathering_options(view, self._manager)

    async def prepare(self, view: ScopeView, _changes: Sequence[Change]) -> Prepared:
        """Read the scope `Logs`. Raises ConfigError."""
        how = gathering_options(view, self._manager)

        def take() -> None:
            if how != self.how:
                self.how = how
                self._changed.set()

        return Takeover(take)

    async def start(self, spawn: Spawn) -> None:
        """Begin to collect."""
        spawn(self._run(), "collected logs")

    def faults(self) -> dict[Unit, str]:
        """The logs that this manager cannot write, each with the reason."""
        return self.gatherer.faults() if self.gatherer is not None else {}

    def figures(self) -> dict[str, float]:
        """What this manager has collected since the collection began, and holds now, by names of metrics."""
        gatherer = self.gatherer
        if gatherer is None:
            return {}
        units = {(unit.node, unit.log) for unit in gatherer.stands}
        behind = sum(gatherer.catalogue.logs[unit].behind for unit in units if unit in gatherer.catalogue.logs)
        return {
            "written_bytes": gatherer.counted["written"],
            "written_lines": gatherer.counted["lines"],
            "lost_bytes": gatherer.counted["lost"],
            "behind_bytes": behind,
            "held": len(gatherer.stands),
            "faults": len(self.faults()),
        }

    def names(self) -> list[str]:
        """The names of the logs that this manager knows of."""
        logs = self.gatherer.catalogue.logs.values() if self.gatherer is not None else ()
        return sorted({news.name for news in logs})

    async def finish(self) -> None:
        """Give the leases back, so that other managers go on at once."""
        gatherer, self.gatherer = self.gatherer, None
        if gatherer is not None:
            try:
                async with asyncio.timeout(_END_S):
                    await gatherer.finish()
            except (EccmgrError, TimeoutError) as error:
                log.debug("logs not given back", reason=str(error))

    async def _run(self) -> None:
        """Collect, and begin anew after each change of the options."""
        while True:
            self._changed.clear()
            how = self.how
            if how.template is None and not how.of_nodes:
                await self._changed.wait()
                continue
            writer = await self._writer(how)
            if writer is None:
                await asyncio.sleep(_RETRY_S)
                continue
            gatherer = self.gatherer = Gatherer(self._link, self._keys, self._options, self._session, writer, how)
            try:
                await self._until_changed(gatherer)
            finally:
                await asyncio.shield(self.finish())
                await ends(in_thread(gatherer.writer.targets.close), lambda: 0)

    async def _until_changed(self, gatherer: Gatherer) -> None:
        work, change = asyncio.ensure_future(gatherer.run()), asyncio.ensure_future(self._changed.wait())
        try:
            await asyncio.wait((work, change), return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                work.result()
        finally:
            for task in (work, change):
                task.cancel()
            await asyncio.gather(work, change, return_exceptions=True)

    async def _writer(self, how: GatheringOptions) -> Writer | None:
        roots = [template for template in (how.template, *(each for each, _ in how.of_nodes.values())) if template]
        folder = how.cache or f"{roots[0].root}/{_NOTES}"
        try:
            notes = await in_thread(functools.partial(Notes, folder, how.dir_mode))
        except OSError as error:
            if reason(error) != self.fault:
                log.error("logs not collected", folder=folder, reason=reason(error))
            self.fault = reason(error)
            return None
        self.fault = ""
        return Writer(Targets(how.max_open, how.max_idle_s), notes, Modes(how.file_mode, how.dir_mode))
