"""A view: the nodes that the cluster knows at one step of its membership, and what a target means in it."""

import enum
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import structlog

from eccmgr.cluster import names, nodeset
from eccmgr.errors import CommandError
from eccmgr.redis.keys import Keys

log = structlog.get_logger()

_FIELDS = 5
"""Of a roster's line."""


@dataclass(frozen=True, slots=True)
class Seat:
    """A node's place in a view: the session it sits there with, its name as first given, its subcluster.

    `before` is the session that the same process had until it was reset, "" where there was none.
    """

    private_name: str
    name: str
    subcluster: str
    before: str = ""

    @property
    def key(self) -> str:
        """The name under which the node's entries are kept."""
        return self.name.lower()


class TargetKind(enum.StrEnum):
    """Whom a command is for."""

    ALL = "all"
    SUBCLUSTER = "subcluster"
    NODE = "node"
    SET = "set"


@dataclass(frozen=True)
class Target:
    """Every node, the nodes of one subcluster, one node, or those of a set: its `name` is then the folded set."""

    kind: TargetKind
    name: str = ""

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
        """The names in a set, in small letters; of another target none."""
        return nodeset.members(self.name) if self.kind is TargetKind.SET else frozenset()

    def channel(self, keys: Keys) -> str:
        """The channel that reaches this target's nodes; what is for a set goes to each of its nodes alone."""
        match self.kind:
            case TargetKind.ALL | TargetKind.SET:
                return keys.everyone
            case TargetKind.SUBCLUSTER:
                return keys.subcluster(self.name)
            case TargetKind.NODE:
                return keys.node(self.name)

    def holds(self, seat: Seat) -> bool:
        """Whether the node at `seat` is meant."""
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
    """The nodes alive in view `number`, and those lost lately, each by its name in small letters."""

    number: int
    live: Mapping[str, Seat]
    absent: Mapping[str, Seat]

    @classmethod
    def parse(cls, number: int, roster: str) -> "View":
        """Read a roster as the scripts write it: when numbering began, the live, an empty line, the absent."""
        _, _, seats = roster.partition("\n")
        live, _, absent = seats.partition("\n\n")
        return cls(number, _seats(live), _seats(absent))

    @cached_property
    def sessions(self) -> frozenset[str]:
        """The sessions that live, and those that live on under another private name since a reset."""
        return frozenset(name for seat in self.live.values() for name in (seat.private_name, seat.before) if name)

    @cached_property
    def subclusters(self) -> Mapping[str, int]:
        """Each subcluster with live nodes, as first spelt, and how many it has."""
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
        """The live and the absent nodes that `target` means."""
        if target.kind is TargetKind.NODE:
            key = target.name.lower()
            return _one(self.live, key), _one(self.absent, key)
        return [s for s in self.live.values() if target.holds(s)], [s for s in self.absent.values() if target.holds(s)]

    def node(self, name: str) -> Seat:
        """The node called `name`, whole and without case, else by its first label. Raises CommandError."""
        key = names.resolve(name, (seat.name for seat in self)).lower()
        return self.live.get(key) or self.absent[key]

    def subcluster(self, name: str) -> str:
        """The subcluster called `name`, as first spelt. Raises CommandError."""
        spelt = {seat.subcluster.lower(): seat.subcluster for seat in reversed(list(self))}
        if name.lower() not in spelt:
            raise CommandError(f"Unknown subcluster '{name}'{names.known(spelt.values())}")
        return spelt[name.lower()]


def _seats(lines: str) -> dict[str, Seat]:
    seats = {}
    for line in filter(None, lines.split("\n")):
        fields = line.split("\t")
        if len(fields) != _FIELDS or not fields[0] or not fields[1]:
            log.warning("roster line dropped", line=line[:200], reason="it cannot be read")
            continue
        private, name, subcluster, _joined, before = fields
        seats[name.lower()] = Seat(private, name, subcluster, before)
    return seats


def _one(seats: Mapping[str, Seat], key: str) -> list[Seat]:
    return [seats[key]] if key in seats else []


@dataclass(frozen=True)
class Known:
    """The views that a question to the server says are at hand; its answer is read with these and no others."""

    born: bytes
    views: Mapping[int, View]

    def __str__(self) -> str:
        """As the scripts take them: when their numbering began, and their numbers."""
        return f"{self.born.decode()}:{','.join(map(str, self.views))}"


class Views:
    """The last few views that this process has seen, so that each is fetched and read once."""

    _KEPT = 8

    def __init__(self) -> None:
        self._views: dict[int, View] = {}
        self._born = b"0"

    def known(self) -> Known:
        """The views at hand now; those that come and go while an answer is under way do not change it."""
        return Known(self._born, dict(self._views))

    def forget(self) -> None:
        """Another server has taken over: it may give the last numbers again, to other views."""
        self._views.clear()

    def get(self, number: int, roster: bytes, known: Known) -> View | None:
        """View `number`: out of `roster` where the server sent it, else out of `known`; None where neither has it.

        A roster that does not say when its numbering began is none.
        """
        if not roster:
            return known.views.get(number)
        born = roster.partition(b"\n")[0]
        if not born.isdigit():
            log.warning("roster dropped", view=number, reason="it cannot be read")
            return None
        if born != self._born:
            # A server that lost its memory numbers its views anew.
            self._views.clear()
            self._born = born
        view = self._views[number] = View.parse(number, roster.decode(errors="replace"))
        for old in list(self._views)[: -self._KEPT]:
            del self._views[old]
        return view


def names_of(seats: Iterable[Seat]) -> list[str]:
    """The names at `seats`, in the order that people expect."""
    return sorted((seat.name for seat in seats), key=names.natural)
