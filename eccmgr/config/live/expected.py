"""Reads a manager's bus files at its start and at each reload, and publishes their expected nodes to the cluster."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import structlog

from eccmgr.config.files.busfile import expected_nodes
from eccmgr.config.live.parts import Part, Prepared, Spawn, Takeover
from eccmgr.errors import EccmgrError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eccmgr.cluster.named import NamedNodes
    from eccmgr.config.live.effective import ScopeView
    from eccmgr.config.live.store import Store
    from eccmgr.config.syntax.changes import Change

log = structlog.get_logger()

_RETRY_S = 1.0
# The time after which a manager publishes unchanged files again.
_CONFIRM_S = 3600.0


class BusFiles(Part):
    """Publishes the expected nodes of the bus files beside a manager's main file; `manager` is its name."""

    title = "bus files"

    def __init__(self, store: Store, named: NamedNodes, manager: str) -> None:
        self.fault = ""
        """The reason why the bus files cannot be read, "" if they can. While they cannot, their earlier contents
        count."""
        self._store = store
        self._named = named
        self._manager = manager
        self._changed = asyncio.Event()
        self._published = False

    async def prepare(self, view: ScopeView, _changes: Sequence[Change]) -> Prepared:
        """Read the bus files again if the configuration's files were read again. No other change affects them."""

        def take() -> None:
            if self._store.loaded.root is view.root:
                self.changed()

        return Takeover(take)

    async def start(self, spawn: Spawn) -> None:
        """Begin to publish the expected nodes."""
        spawn(self.run(), "bus files")

    def changed(self) -> None:
        """Publish the files soon: they may have changed, or Redis may have lost them."""
        self._changed.set()

    def heard(self, number: bytes) -> None:
        """Take the number of the latest change from a heartbeat. If it is empty, Redis has lost the expected nodes."""
        if self._published and not number:
            self.changed()

    async def run(self) -> None:
        """Read and publish the files now, and whenever they may have changed, until cancelled."""
        said = ""
        while True:
            self._changed.clear()
            try:
                await self._publish()
                said = ""
            except EccmgrError as error:
                if str(error) != said:
                    said = str(error)
                    log.warning("bus files not published", reason=said)
                await asyncio.sleep(_RETRY_S)
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_CONFIRM_S):
                    await self._changed.wait()

    async def _publish(self) -> None:
        main = self._store.loaded.main
        if main is None:
            return
        try:
            bus = await asyncio.to_thread(expected_nodes, main, self._store.files, self._store.search_path)
        except EccmgrError as error:
            if str(error) != self.fault:
                log.error("bus files not read", reason=str(error))
            self.fault = str(error)
            return
        self.fault = ""
        await self._named.publish(bus.given(self._manager))
        self._published = bool(bus.nodes)
