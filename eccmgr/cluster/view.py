"""A view: the nodes of the cluster at one step of its membership, and the nodes that a target means in it."""

import bisect
import enum
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from eccmgr.access.register import RegisteredNode
from eccmgr.cluster import names, nodeset
from eccmgr.cluster.groups import NodeGroups
from eccmgr.cluster.tagged import tags_in
from eccmgr.errors import Unreadable
from eccmgr.redis.keys import Keys
from eccmgr.redis.reading import Dropped, line, parsing, plain_name
from eccmgr.text.tags import Tags

_dropped = Dropped("roster line")
_MOMENT = re.compile("[0-9]{1,14}")
"""A time in ms that can be shown."""


@dataclass(frozen=True, slots=True)
class Seat:
    """A node in a view: its session, its name as first given, its subcluster.

    `before` is the session that the same process had until it was reset, "" if it was never reset. An `absent` node has
    its last session ("" if it never came), and `since_ms` is the wall clock at which that session ended. `tag_line` has
    the node's tags as `eccmgr.text.tags.line_of` writes them.
    """

    private_name: str
    name: str
    subcluster: str
    before: str = ""
    absent: bool = False
    since_ms: int | None = None
    tag_line: str = ""

    @classmethod
    def parse(cls, raw: bytes, *, absent: bool = False) -> "Seat":
        """Read a line of the roster, or of the absent nodes. Raises Unreadable.

        Behind the fields that each line has come the node's tags, if it has any, and in the line of an absent node the
        time since which it is absent.
        """
        with parsing("A line of the roster"):
            private, name, subcluster, _joined, before, *more = map(line, raw.decode().split("\t"))
            # A member of an earlier version has written no tags.
            tag_line = more.pop(0) if more and "=" in more[0] else ""
            since = more.pop() if absent and len(more) == 1 else ""
            tags_in(tag_line)
            if not (private or absent):
                raise ValueError("it has no session")
            if more:
                raise ValueError("it has more fields than a line has")
            return cls(
                private,
                plain_name(name),
                plain_name(subcluster),
                before,
                absent,
                int(since) if _MOMENT.fullmatch(since) else None,
                tag_line,
            )

    @property
    def tags(self) -> Tags:
        """The node's tags by their names, with its facts (`os`, `version`, `python`, `arch`)."""
        return tags_in(self.tag_line)

    @property
    def key(self) -> str:
        """The name under which the node's entries are kept."""
        return self.name.lower()


class TargetKind(enum.StrEnum):
    """The kinds of a target."""

    ALL = "all"
    SUBCLUSTER = "subcluster"
    NODE = "node"
    SET = "set"


_SIGNED_KINDS = {TargetKind.ALL: "all", TargetKind.SUBCLUSTER: "sub", TargetKind.NODE: "node", TargetKind.SET: "set"}


@dataclass(frozen=True)
class Target:
    """A command's target: every node, the nodes of one subcluster, one node, or the nodes of a set. The `name` of a set
    is the folded set.

    `where` is the target as an operator wrote it, if the nodes were found by their tags or subclusters. It is signed
    with the command, and never kept.
    """

    kind: TargetKind
    name: str = ""
    where: str = field(default="", compare=False)

    @classmethod
    def read(cls, kind: str, name: str) -> "Target":
        """Read a target as Redis keeps it. Raises ValueError."""
        target = cls(TargetKind(kind), name)
        match target.kind:
            case TargetKind.SUBCLUSTER | TargetKind.NODE:
                plain_name(name)
            case TargetKind.SET:
                _ = [plain_name(node) for node in target.names]
            case TargetKind.ALL if name:
                raise ValueError("all nodes have no name")
        return target

    def __str__(self) -> str:
        match self.kind:
            case TargetKind.ALL:
                return "@all"
            case TargetKind.SUBCLUSTER:
                return f"@{self.name}"
            case TargetKind.NODE | TargetKind.SET:
                return self.name

    @property
    def names(self) -> frozenset[str]:
        """The names in a set, in small letters; empty for other targets."""
        return nodeset.members(self.name) if self.kind is TargetKind.SET else frozenset()

    def channel(self, keys: Keys) -> str:
        """The channel that reaches this target's nodes. A set has no channel: its commands go to each node alone."""
        match self.kind:
            case TargetKind.ALL | TargetKind.SET:
                return keys.everyone
            case TargetKind.SUBCLUSTER:
                return keys.subcluster(self.name)
            case TargetKind.NODE:
                return keys.node(self.name)

    @property
    def signed_form(self) -> tuple[str, ...]:
        """The target as a signed statement names it."""
        return (_SIGNED_KINDS[self.kind], *filter(None, (self.name,)))

    def holds(self, seat: Seat) -> bool:
        """Whether the node at `seat` belongs to this target."""
        match self.kind:
            case TargetKind.ALL:
                return True
            case TargetKind.SUBCLUSTER:
                return seat.subcluster.lower() == self.name.lower()
            case TargetKind.NODE:
                return seat.key == self.name.lower()
            case TargetKind.SET:
                return seat.key in self.names


EVERYONE = Target(TargetKind.ALL)


@dataclass(frozen=True)
class View:
    """The live nodes of view `number` and the absent nodes that are expected, each by its name in small letters."""

    number: int
    live: Mapping[str, Seat]
    absent: Mapping[str, Seat]

    @classmethod
    def read(cls, number: int, live: Mapping[bytes, bytes], absent: Mapping[bytes, bytes]) -> "View":
        """Read a view as the scripts keep it: the lines of the live and of the absent nodes, each by its node."""
        return cls(number, _seats(live), _seats(absent, absent=True))

    def with_registered(self, register: Iterable[RegisteredNode]) -> "View":
        """This view, in which the registered nodes that it does not name are absent."""
        missing = {
            node.name.lower(): Seat("", node.name, node.subcluster, absent=True)
            for node in register
            if node.name.lower() not in self.live and node.name.lower() not in self.absent
        }
        return replace(self, absent={**self.absent, **missing}) if missing else self

    @cached_property
    def sessions(self) -> frozenset[str]:
        """The private names of live sessions, with those from before a reset."""
        return frozenset(name for seat in self.live.values() for name in (seat.private_name, seat.before) if name)

    @cached_property
    def subclusters(self) -> Mapping[str, int]:
        """Each subcluster with live nodes, as first spelt, and the number of these nodes."""
        counts: dict[str, int] = {}
        spelt: dict[str, str] = {}
        for seat in self.live.values():
            name = spelt.setdefault(seat.subcluster.lower(), seat.subcluster)
            counts[name] = counts.get(name, 0) + 1
        return dict(sorted(counts.items(), key=lambda item: names.natural(item[0])))

    def __iter__(self) -> Iterator[Seat]:
        yield from self.live.values()
        yield from self.absent.values()

    def expected(self, target: Target) -> tuple[list[Seat], list[Seat]]:
        """The live nodes and the absent nodes of `target`, each in order of name."""
        if target.kind is TargetKind.NODE:
            key = target.name.lower()
            return _one(self.live, key), _one(self.absent, key)
        live, absent = self._in_order
        if target.kind is TargetKind.SET:
            # Thousands of times the same set is not looked up again.
            nodes = target.names
            return [seat for seat in live if seat.key in nodes], [seat for seat in absent if seat.key in nodes]
        return [seat for seat in live if target.holds(seat)], [seat for seat in absent if target.holds(seat)]

    @cached_property
    def _in_order(self) -> tuple[list[Seat], list[Seat]]:
        return _sorted(self.live.values()), _sorted(self.absent.values())

    def listed(self, target: Target) -> Sequence[Seat]:
        """The nodes of `target`, live and absent together, in order of name."""
        return merged(*self.expected(target))

    @cached_property
    def index(self) -> names.NameIndex:
        """The names of the nodes, live and absent."""
        return names.NameIndex(seat.name for seat in self)

    @cached_property
    def groups(self) -> NodeGroups:
        """The groups of nodes that a target may name."""
        return NodeGroups(self)

    def node(self, name: str) -> Seat:
        """The node that `name` means (`NameIndex.find`). Raises CommandError."""
        return self._seat(self.index.find(name))

    def fitting(self, name: str) -> list[Seat]:
        """The nodes that `name` may mean."""
        return [self._seat(spelt) for spelt in self.index.fitting(name)]

    def _seat(self, name: str) -> Seat:
        key = name.lower()
        return self.live.get(key) or self.absent[key]

    def spelling(self, key: str) -> str:
        """The name of the node that has this name in small letters."""
        return self._seat(key).name

    def subcluster(self, name: str) -> str:
        """The subcluster called `name`, as first spelt. Raises CommandError."""
        nodes = self.groups.subcluster(name)
        return next(seat.subcluster for seat in self if seat.key in nodes)


def _seats(lines: Mapping[bytes, bytes], *, absent: bool = False) -> dict[str, Seat]:
    seats = {}
    for key, raw in lines.items():
        # The field '' is not a node: see `Keys.view_prefix`.
        if not key:
            continue
        try:
            seat = Seat.parse(raw, absent=absent)
            if seat.key.encode() != key:
                raise Unreadable("A line of the roster cannot be read: it is another node's")
        except Unreadable as error:
            _dropped.say(key, raw, str(error))
        else:
            seats[seat.key] = seat
    return seats


def merged(live: Sequence[Seat], absent: Sequence[Seat]) -> Sequence[Seat]:
    """Merge both lists, each in order of name. This costs little for thousands of live nodes and few absent ones."""
    if not absent:
        return live
    seats = list(live)
    for seat in absent:
        bisect.insort(seats, seat, key=_order)
    return seats


def _order(seat: Seat) -> tuple[tuple[int, int, str], ...]:
    return names.natural(seat.name)


def _one(seats: Mapping[str, Seat], key: str) -> list[Seat]:
    return [seats[key]] if key in seats else []


class Views:
    """The last few views that this process has read. Their key is the time at which the numbering began, and the
    number.

    A server that lost its memory begins to number views anew.
    """

    _KEPT = 8

    def __init__(self) -> None:
        self._views: dict[tuple[bytes, int], View] = {}

    @property
    def newest(self) -> str:
        """The view that was read last, in the form of the scripts: BORN:NUMBER; "" before the first one."""
        if not self._views:
            return ""
        born, number = list(self._views)[-1]
        return f"{born.decode()}:{number}"

    def forget(self) -> None:
        """Forget all views: another server has taken over, and may give the same numbers to other views."""
        self._views.clear()

    def get(self, born: bytes, number: int) -> View | None:
        """View `number` of the numbering that began at `born`; None if this process has not kept it."""
        return self._views.get((born, number))

    def keep(self, born: bytes, view: View) -> None:
        """Keep `view` in place of the oldest one."""
        self._views.pop((born, view.number), None)
        self._views[born, view.number] = view
        for old in list(self._views)[: -self._KEPT]:
            del self._views[old]


def names_of(seats: Iterable[Seat]) -> list[str]:
    """The names of `seats`, in the order that people expect."""
    return [seat.name for seat in _sorted(seats)]


def _sorted(seats: Iterable[Seat]) -> list[Seat]:
    return sorted(seats, key=_order)
