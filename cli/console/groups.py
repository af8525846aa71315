"""Groups of nodes with equal (or similar) answers. Each node is in one group; nothing here does I/O."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from cli.console.likeness import Folding, Likeness, Numbers, order, ranges, reading
from eccmgr.cluster.names import fold, natural
from eccmgr.cluster.outcomes import Outcome, State
from eccmgr.commands.node_lines import line as line_of


class _Key(NamedTuple):
    """What the outcomes of a group have in common: everything that a report shows of them."""

    state: State
    pattern: Likeness
    late_s: str
    job: str
    absent_since: int | None


class Group:
    """The nodes that answered alike; never empty outside of this module."""

    def __init__(self, pattern: Likeness) -> None:
        self._pattern = pattern
        self._members: dict[str, tuple[Outcome, Numbers]] = {}
        self._folded = ""

    def __len__(self) -> int:
        return len(self._members)

    def add(self, outcome: Outcome, numbers: Numbers) -> None:
        """Take in a node."""
        self._members[outcome.node] = outcome, numbers
        self._folded = ""

    def drop(self, node: str) -> None:
        """Let go of a node."""
        del self._members[node]
        self._folded = ""

    @property
    def first(self) -> Outcome:
        """The outcome of one of them."""
        return next(iter(self._members.values()))[0]

    @property
    def state(self) -> State:
        """The state of each of them."""
        return self.first.state

    @property
    def nodes(self) -> Sequence[str]:
        """Their names, as they came."""
        return tuple(self._members)

    @property
    def folded(self) -> str:
        """Their names, folded."""
        self._folded = self._folded or fold(self._members)
        return self._folded

    @property
    def text(self) -> str:
        """What they answered, with the ranges of the numbers that differ."""
        if len(self) == 1:
            return self.first.text
        return self._pattern.filled(place.shown for place in ranges(numbers for _, numbers in self._members.values()))

    def line(self) -> str:
        """Their line in a report; several lines if the answer has several."""
        shown = line_of(self.first._replace(node=self.folded, text=self.text))
        if not (note := self._note()):
            return shown
        return f"{shown}\n  {note}" if "\n" in shown else f"{shown}   {note}"

    def _note(self) -> str:
        """In what they differ, and which nodes have the least and the most."""
        if len(self) == 1:
            return ""
        numbers = {node: numbers for node, (_, numbers) in self._members.items()}
        varies = any(place.varies for place in ranges(numbers.values()))
        but = [what for what, counts in (("numbers", varies), ("the node's name", self._pattern.has_name)) if counts]
        if not but:
            return ""
        outliers = ""
        if varies:
            names = sorted(numbers, key=natural)
            least, most = (choose(names, key=lambda node: order(numbers[node])) for choose in (min, max))
            outliers = f"; least {least}, most {most}"
        return f"({len(self)} alike but for {' and '.join(but)}{outliers})"


class Grouping:
    """Sorts outcomes into groups as they come. A node whose outcome changes moves to another group."""

    def __init__(self, folding: Folding = Folding.ON) -> None:
        self._read = reading(folding)
        self._groups: dict[_Key, Group] = {}
        self._places: dict[str, _Key] = {}

    def add(self, outcome: Outcome) -> None:
        """Put a node into its group."""
        self.drop(outcome.node)
        pattern, numbers = self._read(outcome.node, outcome.text.rstrip("\n"))
        late = "" if outcome.late_s is None else f"{outcome.late_s:.0f}"
        # A report shows minutes.
        since = None if outcome.since_ms is None else outcome.since_ms // 60_000
        key = _Key(outcome.state, pattern, late, outcome.job, since)
        if (group := self._groups.get(key)) is None:
            group = self._groups[key] = Group(pattern)
        group.add(outcome, numbers)
        self._places[outcome.node] = key

    def drop(self, node: str) -> None:
        """Take a node out of its group, if it is in one."""
        if (key := self._places.pop(node, None)) is None:
            return
        group = self._groups[key]
        group.drop(node)
        if not len(group):
            del self._groups[key]

    @property
    def as_they_came(self) -> Sequence[Group]:
        """The groups, each at the place of the first answer of its kind."""
        return tuple(self._groups.values())

    @property
    def by_size(self) -> Sequence[Group]:
        """The groups, the largest first; of equal size, the one that came first."""
        return sorted(self._groups.values(), key=len, reverse=True)


def grouped(outcomes: Iterable[Outcome], folding: Folding = Folding.ON) -> Grouping:
    """The groups of all `outcomes`."""
    grouping = Grouping(folding)
    for outcome in outcomes:
        grouping.add(outcome)
    return grouping
