"""The state of a waiting gather, and the nodes to which it releases the command next. It is pure: each look at Redis
feeds it with news."""

import math
import re
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice

from eccmgr.cluster import results
from eccmgr.cluster.results import Entry, Outcome, Report, Sent, State
from eccmgr.cluster.view import Seat, View, merged

_FAILURES = (State.FAILED, State.REFUSED, State.LOST)
_KEPT_PACE = re.compile(r"([1-9][0-9]{0,8})(%?) ([0-9]{1,9}|-)\Z")


@dataclass(frozen=True)
class Pace:
    """The pace of a command in batches: it runs on `batch` nodes at once, or on that share of all nodes if in
    `percent`.

    Once more than `max_failures` nodes have failed, refused or were lost, the command is released to no further nodes.
    None means no limit.
    """

    batch: int
    percent: bool = False
    max_failures: int | None = None

    @property
    def kept(self) -> str:
        """The form in which Redis keeps it."""
        return f"{self.batch}{'%' if self.percent else ''} {'-' if self.max_failures is None else self.max_failures}"

    @classmethod
    def read(cls, kept: str) -> "Pace":
        """Read a pace as `kept` gives it. Raises ValueError."""
        if (read := _KEPT_PACE.match(kept)) is None:
            raise ValueError(f"{kept[:80]!r} is not a pace")
        return cls(int(read[1]), bool(read[2]), None if read[3] == "-" else int(read[3]))

    def width(self, nodes: int) -> int:
        """The number of `nodes` that may run it at once; at least one."""
        return max(1, math.ceil(nodes * self.batch / 100) if self.percent else self.batch)


@dataclass(frozen=True)
class Published:
    """A command that was sent, and the nodes that it expects: those alive and those absent when it was sent."""

    sent: Sent
    live: Sequence[Seat]
    absent: Sequence[Seat]

    @cached_property
    def listed(self) -> Sequence[Seat]:
        """All expected nodes, in order of name."""
        return merged(self.live, self.absent)


@dataclass(frozen=True)
class News:
    """The news of one look at a command: the new responses, and the silent nodes that will not answer.

    `missed` are nodes that let the command expire, or from which it was withdrawn. `aborted_ms` is the time of the
    withdrawal on the lease clock.
    """

    clock_ms: int
    now: View
    entries: Mapping[str, Entry]
    missed: frozenset[str] = frozenset()
    aborted_ms: int | None = None
    more: bool = False
    """Whether there are more responses to read."""


class Waiting:
    """The state of one gather. With a `pace`, it releases the command to the nodes in order of name.

    While the command is driven `elsewhere`, somebody else releases it, and decides when nothing more is released.
    """

    def __init__(
        self, published: Published, pace: Pace | None = None, *, seen: int = 0, elsewhere: bool = False
    ) -> None:
        self.seen = seen
        """The number of responses that were read."""
        self.elsewhere = elsewhere
        self._published = published
        self._open = {seat.key: seat for seat in published.live}
        self._entries: dict[str, Entry] = {}
        self._settled: dict[str, Outcome] = {}
        self._all_answered = True
        self._last: News | None = None
        self._width = len(self._open) if pace is None else pace.width(len(self._open))
        self._paced = pace is not None
        self._max_failures = None if pace is None else pace.max_failures
        self._untold = {} if pace is None else dict.fromkeys(self._open)
        self._told: dict[str, int] = {}
        self._failures = 0
        self.counts: Counter[State] = Counter({State.ABSENT: len(published.absent)} if published.absent else {})
        """The nodes that are settled, by state."""
        self._stopped = False
        self._jobs: frozenset[str] = frozenset()
        self._abort_seen = False
        # Times until which nodes may begin, with these nodes, in order of time. Past times were checked and are gone.
        self._ends: deque[tuple[int, Sequence[str]]] = deque()
        if pace is None:
            self._ends.append((published.sent.expires_ms, list(self._open)))

    @property
    def over(self) -> bool:
        """Whether every expected node is accounted for. A node may be open only if the command will never be sent to
        it."""
        stopped = self._stopped and not self.elsewhere
        return not self._open or (stopped and len(self._open) == len(self._untold))

    @property
    def due_in_all(self) -> int:
        """The number of responses once every node that may answer has answered: those read so far, and one for each
        open node that the command was sent to."""
        return self.seen + len(self._open) - len(self._untold)

    @property
    def open(self) -> Mapping[str, Seat]:
        """The nodes that are not settled, in order of name."""
        return self._open

    @property
    def untold(self) -> int:
        """The number of nodes to which the command was not released."""
        return len(self._untold)

    def may_begin_until(self, node: str) -> int | None:
        """The time on the lease clock until which `node` may begin; None if the command was not released to it."""
        return None if node in self._untold else self._told.get(node, self.sent.expires_ms)

    @property
    def batch(self) -> tuple[int, int] | None:
        """The number of the present batch, and of all batches; None if the command goes to all nodes at once."""
        if not self._paced:
            return None
        live = len(self._published.live)
        return math.ceil((live - len(self._untold)) / self._width), math.ceil(live / self._width)

    @property
    def next_end_ms(self) -> int | None:
        """The next time on the lease clock at which nodes may begin no longer; None if there is none."""
        return self._ends[0][0] if self._ends else None

    @property
    def sent(self) -> Sent:
        """The command."""
        return self._published.sent

    @property
    def view(self) -> View | None:
        """The nodes as the last look showed them."""
        return self._last.now if self._last is not None else None

    @property
    def answered(self) -> bool:
        """Whether every node that the command was sent to has answered. Then Redis has no further responses."""
        return not self._open and self._all_answered

    def due(self) -> list[str]:
        """The nodes to which the command should be released now."""
        if self._stopped or self.elsewhere:
            return []
        return list(islice(self._untold, max(0, self._width - len(self._open) + len(self._untold))))

    def told(self, nodes: Sequence[str], expires_ms: int) -> None:
        """The command was released to `nodes`. They may begin it until `expires_ms` on the lease clock."""
        for node in nodes:
            self._untold.pop(node, None)
            self._told[node] = expires_ms
        self._ends.append((expires_ms, nodes))

    def told_elsewhere(self, plan: Mapping[str, int]) -> None:
        """Take the `plan`, to which somebody else may have added nodes: each with the time until which it may begin."""
        news: dict[int, list[str]] = {}
        for node in [node for node in self._untold if node in plan]:
            news.setdefault(plan[node], []).append(node)
        for expires_ms, nodes in sorted(news.items()):
            self.told(nodes, expires_ms)

    def note_running(self, entries: Mapping[str, Entry]) -> None:
        """Note the open nodes that have begun: a job goes on in the next life of its node."""
        self._jobs = frozenset(node for node, entry in entries.items() if entry.job)
        self._entries.update((node, entry) for node, entry in entries.items() if node in self._open)

    def stop(self) -> None:
        """Release the command to no further nodes."""
        self._stopped = True

    def unsure(self, news: News) -> bool:
        """Whether, since the last call, a node may have missed the command, or the command was withdrawn."""
        unsure = news.aborted_ms is not None and not self._abort_seen
        self._abort_seen = self._abort_seen or unsure
        while self._ends and self._ends[0][0] <= news.clock_ms:
            _, nodes = self._ends.popleft()
            unsure = unsure or any(node in self._open for node in nodes)
        return unsure

    def settle(self, news: News) -> list[Outcome]:
        """Take `news`; answers the outcomes that it settles."""
        self.seen += len(news.entries)
        self._entries.update(news.entries)
        closed = {key for key in news.entries if key in self._open} | (news.missed & self._open.keys())
        # The views are compared whole, because a server that lost its memory may give the same number again.
        if self._last is None or self._last.now is not news.now:
            closed |= {
                key
                for key, seat in self._open.items()
                if seat.private_name not in news.now.sessions and not (key in self._jobs and key in news.now.live)
            }
        sent = self._sent(news)
        for key in closed:
            seat, entry, told = self._open.pop(key), self._entries.get(key), self._told.get(key)
            self._settled[key] = results.outcome(sent, seat, news.now, entry, news.clock_ms, told)
            self._untold.pop(key, None)
        settled = [self._settled[key] for key in closed]
        self._last = news
        self._all_answered = self._all_answered and all(outcome.state.answered for outcome in settled)
        self._failures += sum(outcome.state in _FAILURES for outcome in settled)
        self.counts.update(outcome.state for outcome in settled)
        if news.aborted_ms is not None or (self._max_failures is not None and self._failures > self._max_failures):
            self._stopped = True
        return settled

    def report(self) -> Report:
        """The report on every expected node, from the responses that were read so far."""
        assert self._last is not None, "nothing was read yet"
        published, last = self._published, self._last
        if self.answered:
            # Later events do not change an answer.
            settled, clock_ms = self._settled, last.clock_ms
            return Report(
                published.sent,
                tuple(
                    results.outcome_of_absent(published.sent, seat, clock_ms) if seat.absent else settled[seat.key]
                    for seat in published.listed
                ),
            )
        seats = {seat.key: seat for seat in published.live}
        then = View(published.sent.view, seats, {seat.key: seat for seat in published.absent})
        sent = replace(self._sent(last), waited_ms=last.clock_ms) if self._untold else self._sent(last)
        return results.report(sent, then, last.now, self._entries, last.clock_ms, self._told)

    def _sent(self, news: News) -> Sent:
        sent = self._published.sent
        return sent if news.aborted_ms is None else replace(sent, aborted_ms=news.aborted_ms)
