"""A gather as the console knows it, from the events of its stream. It is pure: its clock is passed in."""

import contextlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from cli.console.groups import Group, Grouping
from cli.console.heard import outcome_of
from cli.console.likeness import Folding
from cli.console.summary import last_line
from eccmgr.cluster.names import fold, natural
from eccmgr.cluster.outcomes import Outcome, State

NOT_SENT = "not sent"
SILENT = "silent"


class OpenPart(NamedTuple):
    """Some nodes that are not settled, as the manager told: they are silent, run the command, or were not sent it.

    `settles_in_s`: the time after which silent nodes are lost unless they are heard of; None if it is not known.
    """

    state: str
    nodes: str
    number: int
    seconds: float | None = None
    settles_in_s: float | None = None
    job: str = ""
    percent: float | None = None

    @classmethod
    def read(cls, facts: Mapping[str, Any]) -> "OpenPart":
        """Read an entry of an event's `open`."""
        numbers = (facts.get(name) for name in ("seconds", "settles_in_s", "percent"))
        seconds, settles_in_s, percent = (None if number is None else float(number) for number in numbers)
        job = str(facts.get("job", ""))
        return cls(str(facts["state"]), str(facts["nodes"]), int(facts["count"]), seconds, settles_in_s, job, percent)

    def after(self, passed_s: float) -> "OpenPart":
        """The same nodes, some time later."""
        return self._replace(
            seconds=None if self.seconds is None else self.seconds + passed_s,
            settles_in_s=None if self.settles_in_s is None else max(0.0, self.settles_in_s - passed_s),
        )


class ProgressTold(NamedTuple):
    """An event with the progress of a gather, as far as the console uses it."""

    running: int = 0
    untold: int = 0
    waited_s: float | None = None
    ends_in_s: float | None = None
    batch: tuple[int, int] | None = None
    open: tuple[OpenPart, ...] = ()

    @classmethod
    def read(cls, event: Mapping[str, Any]) -> "ProgressTold":
        """Read the event."""
        waited_s, ends_in_s = (
            None if event.get(name) is None else float(event[name]) for name in ("waited_s", "ends_in_s")
        )
        batch = (int(event["batch"][0]), int(event["batch"][1])) if event.get("batch") else None
        running, untold = int(event.get("counts", {}).get(State.RUNNING, 0)), int(event.get("untold", 0))
        return cls(running, untold, waited_s, ends_in_s, batch, tuple(map(OpenPart.read, event["open"])))


@dataclass(frozen=True)
class Glance:
    """A gather at one moment. `counts` has each expected node once, by state; silent nodes are pending there."""

    id: str
    expected: int
    counts: Mapping[str, int]
    elapsed_s: float
    at_most_s: float | None
    batch: tuple[int, int] | None
    open: Sequence[OpenPart]
    groups: Sequence[Group]
    """The settled nodes, the largest group first."""

    @property
    def answered(self) -> int:
        """The number of nodes that have answered."""
        return sum(self.counts.get(state, 0) for state in (State.OK, State.FAILED, State.REFUSED))


class LiveGather:
    """Follows one gather. A node that is told twice counts once."""

    def __init__(self, folding: Folding, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._groups = Grouping(folding)
        self._settled: dict[str, Outcome] = {}
        self._names: Sequence[str] = ()
        self._id, self._expected, self._began = "", 0, clock()
        self._last = ProgressTold()
        self._last_at = self._began

    @property
    def has_begun(self) -> bool:
        """Whether the command was sent, and how many nodes are expected is known."""
        return bool(self._id)

    @property
    def id(self) -> str:
        """The command's id; empty until it was sent."""
        return self._id

    @property
    def expected(self) -> int:
        """The number of nodes that are expected."""
        return self._expected

    def take(self, event: Mapping[str, Any]) -> None:
        """Take an event of the stream. One of another kind changes nothing, and so does one that cannot be read."""
        # A server of another kind tells what it likes.
        with contextlib.suppress(ValueError, TypeError, LookupError, AttributeError, ArithmeticError):
            self._take(event)

    def _take(self, event: Mapping[str, Any]) -> None:
        match event.get("event"):
            case "response":
                self._settle(_outcome(event))
            case "progress" if "expected" in event:
                self._begin(event)
            case "progress" if "open" in event:
                self._last, self._last_at = ProgressTold.read(event), self._clock()

    def now(self) -> Glance:
        """The gather at this moment."""
        last, passed_s = self._last, self._clock() - self._last_at
        elapsed_s = self._clock() - self._began if last.waited_s is None else last.waited_s + passed_s
        at_most_s = None if last.waited_s is None or last.ends_in_s is None else last.waited_s + last.ends_in_s
        return Glance(
            *(self._id, self._expected, self._counts(), elapsed_s, at_most_s, last.batch),
            *(self._still_open(passed_s), self._groups.by_size),
        )

    def left(self) -> list[str]:
        """Lines that name the nodes that are not settled, with their states as far as they are known."""
        left = self._left_names()
        if not left:
            return ["Every node has answered or is accounted for"]
        parts = [
            f"  {NOT_SENT if part.state == State.PENDING else part.state}: {part.nodes}"
            for part in self._still_open(0.0)
        ]
        return [f"{len(left)} left: {fold(left)}", *(parts if len(parts) > 1 else ())]

    def groups_told(self) -> str:
        """The groups of the settled nodes, as a report shows them."""
        return "\n".join(group.line() for group in self._groups.by_size)

    def finish(self, outcomes: Iterable[Outcome]) -> str:
        """The last line. `outcomes` are those of the report that no event told; they may be all of them."""
        for outcome in outcomes:
            self._settle(outcome)
        counts = Counter(outcome.state for outcome in self._settled.values())
        counts[State.PENDING] += len(self._left_names())
        sizes = [len(group) for group in self._groups.by_size if group.state is State.OK]
        timed = (outcome for outcome in self._settled.values() if outcome.state.answered and outcome.seconds >= 0)
        return last_line(counts, sizes, timed)

    def finish_with(self, rest: str) -> str:
        """The last line. `rest` is the rest of the report as text."""
        return self.finish(outcomes_in(rest, self._left_names()))

    def _begin(self, event: Mapping[str, Any]) -> None:
        self._id = str(event["command_id"])
        self._expected = max(0, int(event["expected"]))
        self._names = [str(name) for name in event.get("nodes", ())]
        for facts in event.get("absent", ()):
            self._settle(_outcome(facts))

    def _settle(self, outcome: Outcome) -> None:
        self._settled[outcome.node] = outcome
        self._groups.add(outcome)

    def _left_names(self) -> list[str]:
        return [name for name in self._names if name not in self._settled]

    def _counts(self) -> dict[str, int]:
        counts: Counter[str] = Counter(outcome.state.value for outcome in self._settled.values())
        left = max(0, self._expected - len(self._settled))
        for state, number in ((State.RUNNING.value, self._last.running), (NOT_SENT, self._last.untold)):
            # The manager told this before the latest answers came.
            counts[state] = min(left, number)
            left -= counts[state]
        counts[State.PENDING] = left
        return {state: number for state, number in counts.items() if number}

    def _still_open(self, passed_s: float) -> list[OpenPart]:
        """The open parts without those whose one node has answered since."""
        return [part.after(passed_s) for part in self._last.open if part.nodes not in self._settled]


def _outcome(facts: Mapping[str, Any]) -> Outcome:
    """The outcome that an event tells, with fields of the right types. Raises ValueError, TypeError and LookupError."""
    read = outcome_of(facts)
    late_s = None if read.late_s is None else float(read.late_s)
    node, text, job = map(str, (read.node, read.text, read.job))
    return read._replace(node=node, seconds=float(read.seconds), text=text, late_s=late_s, job=job)


_STATES_SHOWN = {f"({state}": state for state in State}
_UNTIMED = -1.0


def outcomes_in(rest: str, names: Sequence[str]) -> Iterator[Outcome]:
    """The outcomes of those nodes of `names` that have a line in `rest`, without their texts and times."""
    heads = {f"{name}:": name for name in names}
    for line in rest.split("\n"):
        first, _, said = line.partition(" ")
        # The lines of an answer of several lines begin with a blank, and so are never a node's.
        if (name := heads.pop(first, None)) is not None:
            yield Outcome(name, "", _state(said), _UNTIMED)


def _state(said: str) -> State:
    word = said.partition(" ")[0]
    if word in (f"{State.FAILED}:", f"{State.REFUSED}:"):
        return State(word[:-1])
    return _STATES_SHOWN.get(word.rstrip(",)"), State.OK)


def in_order(lines: Mapping[str, str]) -> list[str]:
    """The lines of nodes, in order of their names."""
    return [lines[node] for node in sorted(lines, key=natural)]
