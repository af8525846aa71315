"""Logs on a manager what others in the cluster have done: it reads the audit, where nodes and managers note it."""

import asyncio
from collections.abc import Callable, Container, Iterable

import structlog

from eccmgr.cluster.audit import AuditEntry, entries_after, entries_before
from eccmgr.config.live.parts import Part, Spawn
from eccmgr.errors import EccmgrError
from eccmgr.feed.happenings import Happening, Teller
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys

log = structlog.get_logger()

_LOOK_S = 0.5
_PAGES_A_LOOK = 4
_BEHIND_S = 0.05


class Retelling(Part):
    """Follows the audit from the start of this manager on.

    `by` names this daemon, whose own changes of the configuration are in its log already; so are the withdrawals of
    the commands `withdrawn`.
    """

    title = "events of the cluster"

    def __init__(self, link: Link, keys: Keys, by: str, withdrawn: Container[str]) -> None:
        self._link, self._keys, self._by, self._withdrawn = link, keys, by, withdrawn
        self._teller = Teller()
        self._last = ""

    async def start(self, spawn: Spawn) -> None:
        """Begin to follow."""
        spawn(self._follow(), "events of the cluster")

    async def _follow(self) -> None:
        said = ""
        while True:
            more = False
            try:
                more = await self.look()
                said = ""
            except EccmgrError as error:
                if str(error) != said:
                    log.debug("audit not read", reason=str(error))
                said = str(error)
            await asyncio.sleep(_BEHIND_S if more else _LOOK_S)

    async def look(self) -> bool:
        """Log what is new; answers whether there is more to read. Raises EccmgrError."""
        if not self._last:
            # What was before this manager is not told again, but says how long what follows took.
            for entry in reversed(await entries_before(self._link, self._keys, "")):
                self._teller.tell(entry)
                self._last = entry.id
            self._last = self._last or "0-0"
            return False
        for _ in range(_PAGES_A_LOOK):
            entries = await entries_after(self._link, self._keys, self._last)
            if not entries:
                return False
            self._tell(entries)
        return True

    def _tell(self, entries: Iterable[AuditEntry]) -> None:
        for entry in entries:
            self._last = entry.id
            happening, say = self._teller.tell(entry), _SAID.get(entry.what)
            if happening is not None and say is not None:
                say(self, entry, happening)

    def _vip(self, entry: AuditEntry, told: Happening) -> None:
        what = {"granted": "vip taken", "released": "vip released", "stated": "vip stated"}.get(entry["change"])
        fields = {name: entry[name] for name in ("from", "to", "epoch", "reason") if entry[name]}
        outage = {} if told.took_ms is None else {"outage_ms": told.took_ms}
        log.info(what or "vip changed", vip=entry["address"], node=entry["node"], **fields, **outage)

    def _vip_session(self, entry: AuditEntry, _told: Happening) -> None:
        log.warning("vips free", node=entry["node"], reason=entry["reason"], by=entry["by"])

    def _abort(self, entry: AuditEntry, _told: Happening) -> None:
        if entry["id"] not in self._withdrawn:
            log.warning("command aborted", id=entry["id"], aborted_by=entry["issuer"], at="another manager")

    def _flush(self, entry: AuditEntry, _told: Happening) -> None:
        log.warning("results flushed", commands=entry["commands"], by=entry["issuer"])

    def _configuration(self, entry: AuditEntry, _told: Happening) -> None:
        if entry["daemon"] != self._by:
            log.info("configuration changed", daemon=entry["daemon"], options=entry["options"], user=entry["user"])

    def _schedule(self, _entry: AuditEntry, told: Happening) -> None:
        log.info("schedule", what=told.what, when=told.why, by=told.by)


_Say = Callable[[Retelling, AuditEntry, Happening], None]
_SAID: dict[str, _Say] = {
    "vip": Retelling._vip,
    "vip session": Retelling._vip_session,
    "abort": Retelling._abort,
    "flush": Retelling._flush,
    "configuration": Retelling._configuration,
    "schedule": Retelling._schedule,
}
