"""The account that the agent gets from its parent. The agent takes it on before it reads anything that others may
write.

The interpreter and its modules may lie where only root can read. So the agent begins as root, imports everything, and
then takes the account on.
"""

import grp
import os
import pwd
from dataclasses import dataclass

from worker.guardian.rights import GUARDIAN_UID

ACCOUNT = "ECCMGR_AGENT_ACCOUNT"
"""The environment variable with the account: uid, gid and further groups, separated by spaces."""


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
        """The variables that tell a child of ours to take the account on."""
        numbers = " ".join(map(str, (self.uid, self.gid, *self.groups)))
        return {ACCOUNT: numbers, "HOME": self.home, "USER": self.name, "LOGNAME": self.name}


def account_of(user: str, group: str | None = None) -> Account:
    """The account of a user, in the named group or else in the user's own. Raises OSError."""
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
    """Take on the account that the parent named, for good. Raises OSError."""
    uid, gid, *groups = map(int, os.environ.pop(ACCOUNT).split())
    os.setgroups(groups)
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
