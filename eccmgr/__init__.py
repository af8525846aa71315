"""eccmgr: what managers and nodes share, and the manager itself.

`eccmgr.Node` makes a program a node of the cluster.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from eccmgr.node.embedded import Node

__all__ = ["Node"]


def __getattr__(name: str) -> object:
    """`Node` stands on all the rest, which nobody should wait for who imports another part."""
    if name == "Node":
        from eccmgr.node.embedded import Node

        return Node
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
