"""A cache of parsed Sieve scripts."""

from eccmgr.modules import Module


class Sieve(Module):
    """A cache of parsed Sieve scripts."""

    scope = "sieve"
    brief = "a cache of parsed Sieve scripts"
