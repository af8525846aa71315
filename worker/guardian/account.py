"""The account that the agent gets from its parent: the agent becomes it before it reads anything that others may write.

The interpreter and its modules may lie where only root can read, so the agent begins as root, and has imported
everything by then.
"""

import grp
import os
import pwd
from dataclasses import dataclass

from worker.guardian.rights import GUARDIAN_UID

ACCOUNT = "ECCMGR_AGENT_ACCOUNT"
"""The environment variable in which the parent says it: uid, gid and further groups between spaces."""


@dataclass(frozen=True)
class Account:
    """A user of this host, with the group and the further groups that its processes get."""

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...]
    home: str

    @property
    def environment(self) -> dict[str, str]:
        """What tells a child of ours to become it."""
        numbers = " ".join(map(str, (self.uid, self.gid, *self.groups)))
        return {ACCOUNT: numbers, "HOME": self.home, "USER": self.name, "LOGNAME": self.name}


def account_of(user: str, group: str | None = None) -> Account:
    """The account of a user, in a group other than its own if one is named. Raises OSError."""
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        raise OSError(f"there is no user '{user}' on this host") from None
    try:
        gid = grp.getgrnam(group).gr_gid if group else entry.pw_gid
    except KeyError:
        raise OSError(f"there is no group '{group}' on this host") from None
    if entry.pw_uid == GUARDIAN_UID:
        raise OSError(f"the user '{user}' has uid {GUARDIAN_UID}, which is the guardian's own: take another")
    return Account(user, entry.pw_uid, gid, tuple(os.getgrouplist(user, gid)), entry.pw_dir)


def become_the_account() -> None:
    """Become what the parent said, for good. Raises OSError."""
    uid, gid, *groups = map(int, os.environ.pop(ACCOUNT).split())
    os.setgroups(groups)
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
