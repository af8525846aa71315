"""The common code of managers and nodes, the manager, and the node that a program embeds.

`eccmgr.Node` makes a program a node of the cluster.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from eccmgr.node.embedded import Node

__all__ = ["Node"]


def __getattr__(name: str) -> object:
    """Import `Node` only when it is used: it imports most of eccmgr, and other importers should not wait for that."""
    if name == "Node":
        from eccmgr.node.embedded import Node

        return Node
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
