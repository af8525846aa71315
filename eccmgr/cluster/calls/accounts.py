"""The call of the script that adds a daemon's account to the audit of the cluster."""

import enum
from collections.abc import Mapping

from eccmgr.cluster.options import ClusterOptions
from eccmgr.redis.keys import Keys
from eccmgr.redis.scripts import ScriptCall, verdicts


class AccountVerdict(enum.StrEnum):
    """The result of adding lines to the audit."""

    KEPT = "kept"


_verdict = verdicts(AccountVerdict)


def account(keys: Keys, options: ClusterOptions, by: str, lines: Mapping[str, int]) -> ScriptCall[AccountVerdict]:
    """Add `lines` of the daemon `by` to the audit, each with the number of equal ones."""
    words = [word for line, times in lines.items() for word in (times, line)]
    return ScriptCall("account", (keys.audit,), (options.audit_cap, by, *words), lambda reply: _verdict(reply[0]))
