"""The nodes that bus files name, as Redis keeps them: the expected nodes, and the subcluster of each.

A manager that has a bus file publishes it; every other manager, and the nodes, read it here.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from eccmgr.cluster.calls import views
from eccmgr.cluster.calls.views import PAGE, NamedChange
from eccmgr.cluster.nodeset import MAX_NAMES
from eccmgr.cluster.options import ClusterOptions, to_ms
from eccmgr.cluster.roster import read_hash
from eccmgr.errors import Unreadable
from eccmgr.redis import replies
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys
from eccmgr.redis.reading import Dropped, line, parsing, plain_name, whole

log = structlog.get_logger()

_dropped = Dropped("line of a bus file")

DEFAULT_SUBCLUSTER = "default"
_SOURCES_MAX = 16
# Lines of a bus file in one call.
_AT_ONCE = PAGE


@dataclass(frozen=True)
class NamedNode:
    """The statements of bus files on a node: its name, and the subclusters that each file gives it, by the file's short
    name."""

    name: str
    given: Mapping[str, tuple[str, ...]]

    @classmethod
    def parse(cls, raw: bytes) -> "NamedNode":
        """Read the scripts' record of a node. Raises Unreadable."""
        with parsing("The statement of bus files on a node"):
            name, *said = map(line, raw.decode().split("\t"))
            pairs = (pair.partition("=") for pair in said)
            given = {source: tuple(map(plain_name, filter(None, names.split(",")))) for source, _, names in pairs}
            return cls(plain_name(name), given)

    @property
    def subclusters(self) -> tuple[str, ...]:
        """All subclusters that files give the node; the first one counts."""
        return tuple(dict.fromkeys(subcluster for given in self.given.values() for subcluster in given))


@dataclass(frozen=True)
class Named:
    """The statements of all bus files: each node by its name in small letters, and the time in ms at which each file
    was last read."""

    nodes: Mapping[str, NamedNode] = field(default_factory=dict)
    read_ms: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def parse(cls, lines: Mapping[bytes, bytes]) -> "Named":
        """Read the scripts' hash of subclusters; the numbers of nodes in it are left out."""
        nodes, read_ms = {}, {}
        for key, raw in lines.items():
            try:
                if key.startswith(b"="):
                    nodes[key[1:].decode(errors="replace")] = NamedNode.parse(raw)
                elif key.startswith(b"@"):
                    with parsing("When a bus file was read"):
                        read_ms[key[1:].decode()] = whole(raw.rpartition(b"\t")[2])
            except Unreadable as error:
                _dropped.say(key, raw, str(error))
        return cls(nodes, read_ms)

    def conflicts(self, claimed: Mapping[str, str]) -> list[tuple[str, str, str]]:
        """The nodes that claim another subcluster than files give them, each as node, claimed, given."""
        conflicts = []
        for node, subcluster in claimed.items():
            given = named.subclusters if (named := self.nodes.get(node.lower())) else ()
            if given and subcluster.lower() not in (name.lower() for name in given):
                conflicts.append((node, subcluster, " or ".join(given)))
        return conflicts

    def stale(self, absent_ttl_s: float) -> list[str]:
        """The files that no manager has read for `absent_ttl_s` (0: no limit), and the oldest files if there are too
        many."""
        by_age = sorted(self.read_ms, key=self.read_ms.__getitem__)
        newest_ms = max(self.read_ms.values(), default=0)
        old = [s for s in by_age if absent_ttl_s and newest_ms - self.read_ms[s] > to_ms(absent_ttl_s)]
        return list(dict.fromkeys((*old, *by_age[: max(0, len(by_age) - _SOURCES_MAX)])))


async def subcluster_given(link: Link, keys: Keys, node: str) -> str | None:
    """The subcluster of a `node` that states no subcluster; None if no bus file is known. Raises RedisUnreachable."""
    given = await named_node(link, keys, node)
    return next(iter((*given.subclusters, DEFAULT_SUBCLUSTER))) if given is not None else None


async def named_node(link: Link, keys: Keys, node: str) -> NamedNode | None:
    """What bus files state about a `node`; None if no bus file is known. Raises RedisUnreachable."""
    number, kept = await link.pipeline(("HGET", keys.state, "bus"), ("HGET", keys.subclusters, f"={node.lower()}"))
    said = replies.value(kept)
    if number is None:
        return None
    try:
        return NamedNode.parse(said) if said else NamedNode(node, {})
    except Unreadable as error:
        _dropped.say(node, said, str(error))
        return None


class NamedNodes:
    """The statements of bus files, for one manager. `called` is what people call its own bus file, "" if it has no bus
    file."""

    def __init__(self, link: Link, keys: Keys, options: ClusterOptions, called: str) -> None:
        self._link = link
        self._keys = keys
        self._options = options
        self._called = called
        self._source = hashlib.sha1(called.encode(), usedforsecurity=False).hexdigest()[:8] if called else ""
        self._last: tuple[object, Named] = (None, Named())

    async def now(self) -> Named:
        """The present statements of all bus files. Raises RedisUnreachable."""
        read: object = await self._link.pipeline(("HMGET", self._keys.state, "born", "bus"))
        if read != self._last[0]:
            self._last = read, Named.parse(await read_hash(self._link, self._keys.subclusters))
        return self._last[1]

    async def publish(self, nodes: Mapping[str, Sequence[str]]) -> None:
        """Publish that our bus file names `nodes`, with the subclusters of each. Raises RedisUnreachable."""
        if len(nodes) > MAX_NAMES:
            log.error("bus file cut", nodes=len(nodes), limit=MAX_NAMES)
        named_nodes = dict(list(nodes.items())[:MAX_NAMES])
        named = Named.parse(await read_hash(self._link, self._keys.subclusters))
        if self._source and (named_nodes or self._source in named.read_ms):
            await self._expect(
                self._source, self._called if named_nodes else "", _changes(named, self._source, named_nodes)
            )
        for source in named.stale(self._options.absent_ttl_s):
            if source != self._source:
                await self._expect(source, "", _changes(named, source, {}))
        self._last = (None, Named())

    async def _expect(self, source: str, called: str, changes: Sequence[NamedChange]) -> None:
        for first in range(0, max(1, len(changes)), _AT_ONCE):
            some = changes[first : first + _AT_ONCE]
            await self._link.run(views.expect(self._keys, self._options, source, called, some))


def _changes(named: Named, source: str, given_by_name: Mapping[str, Sequence[str]]) -> list[NamedChange]:
    """The changes for Redis if the file `source` now names the nodes `given_by_name`."""
    # This states all nodes again, because Redis may have lost one of the absent nodes.
    changes = [NamedChange(name, given) for name, given in given_by_name.items()]
    still = {name.lower() for name in given_by_name}
    for key, node in named.nodes.items():
        if source in node.given and key not in still:
            changes.append(NamedChange(node.name, named=False))
    return changes
