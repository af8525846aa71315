"""Programs as commands: an allow-list, no shell."""

from eccmgr.modules import Module


class Exec(Module):
    """Programs as commands: an allow-list, no shell."""

    scope = "exec"
    brief = "programs of this host as commands"
