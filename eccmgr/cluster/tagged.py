"""The tags in what Redis keeps of a node. `Member.tags` and `Seat.tags` give them to everybody else."""

import functools
from types import MappingProxyType

from eccmgr.text.tags import Tags, read_line


@functools.lru_cache(maxsize=4096)
def tags_in(tag_line: str) -> Tags:
    """The tags in one line. The nodes of a fleet share few different lines. Raises ValueError."""
    return MappingProxyType(dict(read_line(tag_line)))
