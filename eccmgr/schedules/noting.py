"""Notes in the audit of the cluster who added and who deleted a schedule."""

import contextlib

from eccmgr.cluster.calls.accounts import note
from eccmgr.cluster.options import ClusterOptions
from eccmgr.errors import EccmgrError
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys

_TEXT_MAX = 1024


class AuditNote:
    """Writes the entries of one member, named `by`."""

    def __init__(self, link: Link, keys: Keys, by: str) -> None:
        self._link, self._keys, self._by = link, keys, by

    async def write(self, change: str, schedule_id: str, user: str, text: str = "", when: str = "") -> None:
        """Note a change of a schedule. The log has it too, so this is tried once."""
        fields = {"change": change, "id": schedule_id, "issuer": user, "text": text[:_TEXT_MAX]}
        fields |= {"when": when, "member": self._by}
        with contextlib.suppress(EccmgrError):
            await self._link.run(note(self._keys, ClusterOptions(), "schedule", fields))
