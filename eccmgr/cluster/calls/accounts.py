"""The calls of the scripts that add to the audit of the cluster: a daemon's account, and single entries."""

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


def note(keys: Keys, options: ClusterOptions, what: str, fields: Mapping[str, str]) -> ScriptCall[AccountVerdict]:
    """Add an entry to the audit: `what` it is about, and its other fields."""
    words = [word for name, text in {"what": what, **fields}.items() for word in (name, text)]
    return ScriptCall("note", (keys.audit,), (options.audit_cap, *words), lambda reply: _verdict(reply[0]))
