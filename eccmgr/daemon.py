"""The life of a daemon: start, say ready, run until told to stop, end cleanly. Managers and nodes share it."""

import abc
import asyncio
import signal
from collections.abc import Coroutine
from typing import Any

import structlog

from eccmgr.cluster.members import host_address
from eccmgr.cluster.session import Session
from eccmgr.control.endpoint import Endpoint
from eccmgr.control.server import ControlServer
from eccmgr.errors import RedisUnreachable
from eccmgr.notify import notify
from eccmgr.redis.connect import Link

log = structlog.get_logger()


class Daemon(abc.ABC):
    """A member of the cluster with a control listener."""

    link: Link
    server: ControlServer
    session: Session
    endpoints: list[Endpoint]

    def __init__(self) -> None:
        self._stopping = asyncio.Event()
        self._background: list[asyncio.Task[None]] = []

    def stop(self) -> None:
        """Begin a clean end; the answer to whoever asked still leaves."""
        self._stopping.set()

    async def run(self) -> None:
        """Run until SIGTERM, SIGINT or `stop`. Raises EccmgrError where the start fails."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        try:
            await self._run()
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)
            await self.server.close()
            await self.link.close()
            log.info("stopped")

    async def _run(self) -> None:
        for endpoint in self.endpoints:
            await self.server.listen(endpoint)
        port = next((endpoint.port for endpoint in self.server.endpoints if endpoint.path is None), 0)
        host = await asyncio.to_thread(host_address, self.link.address)
        self.session.located_at(f"{host}:{port}")
        async with asyncio.TaskGroup() as tasks:
            await self.start(tasks)
            try:
                await self.session.join()
            except RedisUnreachable as error:
                log.warning("redis unreachable", reason=str(error))
            self.spawn(tasks, self.session.run(), "session")
            log.info("ready", endpoints=",".join(map(str, self.server.endpoints)))
            notify("READY=1")
            await self._stopping.wait()
            log.info("stopping")
            notify("STOPPING=1")
            await self.finish()
            await self.session.leave()
            for task in self._background:
                task.cancel()

    def spawn(self, tasks: asyncio.TaskGroup, work: Coroutine[Any, Any, None], name: str) -> None:
        """Run `work` in the background for as long as the daemon lives."""
        self._background.append(tasks.create_task(work, name=name))

    @abc.abstractmethod
    async def start(self, tasks: asyncio.TaskGroup) -> None:
        """Begin what must be there before the daemon joins the cluster."""

    @abc.abstractmethod
    async def finish(self) -> None:
        """Bring to an end what must end before the daemon leaves the cluster."""
