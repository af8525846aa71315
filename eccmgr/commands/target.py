"""Parses a target: `@all`, `@SUBCLUSTER`, a node's name, or a set of nodes such as `east[1-3,7],@west`."""

from eccmgr.cluster import names, nodeset
from eccmgr.cluster.view import EVERYONE, Target, TargetKind, View
from eccmgr.errors import CommandError, UsageError


def looks_like_a_target(word: str) -> bool:
    """Whether `word` can only be a target: `@…`, or a set of nodes."""
    return word.startswith("@") or "[" in word or "," in word


def read_target(word: str, view: View) -> Target:
    """Parse `word` as a target. Raises CommandError if it names an unknown node or subcluster."""
    parts = nodeset.parts(word)
    if len(parts) == 1 and ("[" not in word or word.startswith("@")):
        if word.lower() == str(EVERYONE):
            return EVERYONE
        if word.startswith("@"):
            return Target(TargetKind.SUBCLUSTER, view.subcluster(word[1:]))
        return Target(TargetKind.NODE, view.node(word).name)
    typed = nodeset.spell_out([part for part in parts if not part.startswith("@")])
    nodes = dict.fromkeys(view.index.find_all(typed))
    for group in (part for part in parts if part.startswith("@")):
        for part_of in view.expected(read_target(group, view)):
            nodes.update(dict.fromkeys(seat.name for seat in part_of))
    if len(nodes) > nodeset.MAX_NAMES:
        raise UsageError(f"A node set may name at most {nodeset.MAX_NAMES} nodes")
    if len(nodes) == 1:
        return Target(TargetKind.NODE, *nodes)
    if not nodes:
        raise CommandError("No node is known in the cluster")
    return Target(TargetKind.SET, names.fold(nodes))
