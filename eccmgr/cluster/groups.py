"""The groups of nodes in one view: all of them, those of a subcluster, those with a tag. Absent nodes count."""

import fnmatch
import itertools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from eccmgr.cluster.names import known, natural
from eccmgr.errors import CommandError

if TYPE_CHECKING:
    from eccmgr.cluster.view import Seat

_TAGS_MAX = 1000
_SHOWN = 20
"""The maximum number of tags that an error lists."""


class NodeGroups:
    """The groups among `seats`: sets of names in small letters. The sets are made once, when they are needed."""

    def __init__(self, seats: Iterable["Seat"]) -> None:
        self._seats: Sequence[Seat] = list(seats)

    @cached_property
    def everyone(self) -> frozenset[str]:
        """All nodes."""
        return frozenset(seat.key for seat in self._seats)

    @cached_property
    def values(self) -> Mapping[str, Mapping[str, frozenset[str]]]:
        """Maps the name of each tag to its values, as spelt, and each value to the nodes that have it."""
        by_line: dict[str, list[Seat]] = {}
        for seat in self._seats:
            by_line.setdefault(seat.tag_line, []).append(seat)
        values: dict[str, dict[str, set[str]]] = {}
        for seats in by_line.values():
            keys = [seat.key for seat in seats]
            for tag, value in seats[0].tags.items():
                values.setdefault(tag, {}).setdefault(value, set()).update(keys)
        return {tag: {value: frozenset(keys) for value, keys in of.items()} for tag, of in values.items()}

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags that nodes have, as targets name them (`role:mta`); at most 1,000 of them."""
        named = (f"{tag}:{value}" for tag in sorted(self.values) for value in sorted(self.values[tag], key=natural))
        return tuple(itertools.islice(named, _TAGS_MAX))

    def subcluster(self, name: str) -> frozenset[str]:
        """The nodes of a subcluster. Raises CommandError if no node is in it."""
        if nodes := self._subclusters.get(name.lower()):
            return nodes
        spelt = {seat.subcluster.lower(): seat.subcluster for seat in reversed(self._seats)}
        hint = f". For the tag write @{name.lower()}:VALUE" if name.lower() in self.values else ""
        raise CommandError(f"Unknown subcluster '{name}'{known(spelt.values())}{hint}")

    def tagged(self, tag: str, pattern: str) -> frozenset[str]:
        """The nodes whose `tag` has a value that fits `pattern`, in which `*` and `?` stand for other characters.

        Case does not count. Raises CommandError if no node has such a tag.
        """
        values = self.values.get(tag)
        if values is None:
            raise CommandError(f"Unknown tag '{tag}'{_listed(self.values)}")
        fitting = fits(pattern)
        nodes = frozenset().union(*(nodes for value, nodes in values.items() if fitting(value)))
        if not nodes:
            raise CommandError(f"No node has the tag {tag}:{pattern}{_listed(f'{tag}:{value}' for value in values)}")
        return nodes

    @cached_property
    def _subclusters(self) -> Mapping[str, frozenset[str]]:
        nodes: dict[str, list[str]] = {}
        for seat in self._seats:
            nodes.setdefault(seat.subcluster.lower(), []).append(seat.key)
        return {subcluster: frozenset(keys) for subcluster, keys in nodes.items()}


def fits(pattern: str) -> Callable[[str], bool]:
    """Answers whether the value of a tag fits `pattern`. Case does not count."""
    compiled = re.compile(fnmatch.translate(pattern.lower()))
    return lambda value: compiled.match(value.lower()) is not None


def _listed(tags: Iterable[str]) -> str:
    """The end of an answer to an unknown tag: `; known: role:db,role:mta`."""
    listed = sorted(tags, key=natural)
    more = f" and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else ""
    return f"; known: {','.join(listed[:_SHOWN])}{more}" if listed else "; no node has any"
