"""`ecnode`: a node with floating addresses and jobs. Only this module knows all its parts."""

import asyncio
import math
import os
from dataclasses import replace
from typing import Any

from eccmgr.commands.caller import Caller
from eccmgr.commands.completion import Known
from eccmgr.commands.describing import Dissected, Hit
from eccmgr.config.live.secret_files import SecretFiles
from eccmgr.config.live.store import Store
from eccmgr.config.schema.printing import show_recurse
from eccmgr.logs.files import LogFiles
from eccmgr.node.daemon import NodeDaemon
from eccmgr.redis.connect import Link
from eccmgr.settings import NodeSettings
from eccmgr.web.listener import HttpListener
from eccmgr.web.site import Site
from worker.arp import arp_command
from worker.duravip.charter import own_charter
from worker.duravip.commands import DuravipCommands
from worker.duravip.options import duravip_options
from worker.duravip.service import DuravipService
from worker.guardian.launch import find_guardians
from worker.jobs.commands import JobCommands
from worker.jobs.service import JobService
from worker.measuring import NodeFigures, NodeMetrics


class EcNode(NodeDaemon):
    """The node of a host: like every node, and with the host's VIPs and long commands."""

    def __init__(
        self, settings: NodeSettings, store: Store, log_files: LogFiles | None = None, link: Link | None = None
    ) -> None:
        super().__init__(settings, store, log_files, link)
        self.jobs = JobService(
            self.link, self.keys, self.options, self.name, self._job_settings, lambda: self.modules.long, self.outbox
        )
        self.executor.jobs = self.jobs
        self.modules.adapted, self.modules.on_change = self.jobs.adapted, self.jobs.kick
        program = duravip_options(self.view).plumber_program or ""
        guardians = find_guardians(program, own_charter(self.link.address))
        copies = settings.redis_copies
        self.duravip = DuravipService(self.link, self.keys, self.options, self.heartbeats, guardians, self.view, copies)
        self.duravip.on_orphaned = self.stop
        self.add_part(self.duravip)
        self._vip_commands = DuravipCommands(self.duravip)
        self._metrics = NodeMetrics(self._figures)
        self.pages = HttpListener(SecretFiles(store), self.view, settings.http, settings.http_prefix, self._site())
        self.add_part(self.pages)
        self.table.add(arp_command(), *JobCommands(self.jobs).commands(), *self._vip_commands.commands())
        self.table.add(self._metrics.command())

    def _site(self) -> Site:
        """What a node serves over HTTP: metrics and health, and no pages."""
        return Site(
            title=f"{self.name} of {self.held.cluster}",
            gate=self.gate,
            ready=self.unready,
            metrics=self._metrics.scrape,
            verifiers=lambda: self.server.verifiers,
            penalties=self.server.crowd.penalties,
            lease_s=lambda: self.options.session_lease_s,
        )

    def _figures(self) -> NodeFigures:
        return NodeFigures(
            cluster=self.held.cluster,
            redis_up=self.link.fault is None,
            vips=self.duravip.figures(),
            ran=self.gate.ran,
            known_commands=frozenset(self.table.commands),
            took=self.gate.took,
            jobs=self.jobs.states,
        )

    def default_endpoint(self) -> str:
        """A path of this node alone among the nodes of its host. If a service manager made a folder for the node, the
        path is in it."""
        folder = os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
        return f"{folder}/{self.name}" if folder else f"/tmp/ecnode-{self.name}"  # noqa: S108

    async def start(self, tasks: asyncio.TaskGroup) -> None:
        """Follow the jobs."""
        self.spawn(tasks, self.jobs.run(), "jobs")
        await super().start(tasks)

    async def finish(self) -> None:
        """End commands as every node does, then let jobs end."""
        await super().finish()
        await self.jobs.finish()

    def facts(self) -> str:
        """The lines of every node, and those about VIPs."""
        return "\n".join(filter(None, (self.duravip.info(), super().facts())))

    def abort(self, command_id: str, user: str) -> bool:
        """End a command or a job on this node; answers whether there was one."""
        return self.jobs.withdraw(command_id, user) or super().abort(command_id, user)

    async def known_names(self, caller: Caller) -> Known:
        """The names of every node, and those of VIPs."""
        return replace(await super().known_names(caller), vips=self.duravip.names)

    async def survey(self, line: Dissected) -> Hit:
        """What a dangerous command would hit here: also the VIPs of this node, or of the node that is to be drained."""
        return await self._vip_commands.survey(line, await super().survey(line))

    def _job_settings(self) -> dict[str, Any]:
        """The settings of a job worker."""
        view = self.view
        return {
            "url": self.link.server.plain_url,
            "link": self.link.address.url,
            "prefix": self.keys.rq_prefix,
            "queue": self.name.lower(),
            "node": self.name,
            "cluster": self.keys.cluster,
            "policy": self.gate.policy.record,
            "configuration": show_recurse(view.root, view.schema, reveal=True),
            "max_bytes": self.options.max_response_bytes,
            "results_ttl_s": math.ceil(self.options.results_ttl_s),
        }
