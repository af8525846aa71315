"""Tells how the configuration of this daemon has changed: in its log, and in the audit of the cluster."""

import asyncio
from collections import deque

import structlog

from eccmgr.cluster.calls.accounts import note
from eccmgr.cluster.options import ClusterOptions
from eccmgr.config.live.effective import ScopeView
from eccmgr.config.live.parts import Part, Spawn
from eccmgr.config.live.store import Proposal
from eccmgr.config.schema.masking import masked
from eccmgr.config.syntax.changes import Change
from eccmgr.config.syntax.values import format_value
from eccmgr.errors import EccmgrError, RedisUnreachable
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys

log = structlog.get_logger()

_WAITING_MAX = 100
_SHOWN = 20
_VALUE_SHOWN = 200
_TRY_AGAIN_S = 1.0


class ConfigurationNotes(Part):
    """Logs each change that is in force, and adds an entry to the audit. While Redis is away, the latest entries
    wait."""

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
        _log_changes(proposal)
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


def _log_changes(proposal: Proposal) -> None:
    """Log the changes, one a line, without their secrets."""
    user = proposal.user
    for change in proposal.changes[:_SHOWN]:
        values = {"before": _value(proposal.before, change), "now": _value(proposal.after, change)}
        shown = {name: value for name, value in values.items() if value is not None}
        log.info("configuration changed", option=change.where, change=change.action.value, **shown, user=user)
    if (further := len(proposal.changes) - _SHOWN) > 0:
        log.info("configuration changed", further=further, user=user)


def _value(view: ScopeView, change: Change) -> str | None:
    """The value that a scope of `view` itself gives the changed option, masked and cut; None if it gives none."""
    scope = view.root.find(change.path)
    setting = scope.option(change.option) if scope is not None and change.option else None
    if setting is None:
        return None
    spec = view.schema.find([step.kind for step in change.path])
    known = spec.option(change.option) if spec is not None else None
    return format_value(masked(setting.name, setting.value, known))[:_VALUE_SHOWN]
