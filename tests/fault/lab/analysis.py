"""Evaluates the prober's records. Pure.

A host is known to have held an address from the arrival of one of its answers until the request of a later one, if it
answered every round between them. An overlap is the time for which two hosts are both known to have held an address. It
is too short by up to a round at either end, and never too long. Rounds that two hosts answered are counted apart: one
such round is a violation even without an overlap.
"""

import bisect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

MS = 1_000_000


@dataclass(frozen=True)
class Answer:
    """A host's answer to one request for an address; times in nanoseconds."""

    asked: int
    heard: int
    vip: str
    host: str


@dataclass(frozen=True)
class Echo:
    """A datagram that a host sent back from an address."""

    sent: int
    heard: int
    vip: str
    host: str


@dataclass(frozen=True)
class Span:
    """The time from `begin` to `end`, in nanoseconds, for which a host is known to have held an address."""

    host: str
    begin: int
    end: int


@dataclass
class Records:
    """The observations so far, each list in the order of time."""

    rounds: list[int] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    echoes: list[Echo] = field(default_factory=list)
    announced: list[Answer] = field(default_factory=list)
    late: int = 0

    def read(self, lines: Iterable[str], owners: Mapping[str, str]) -> None:
        """Add the prober's lines; `owners` maps hardware addresses to hosts."""
        for line in lines:
            kind, *rest = line.split()
            if kind == "R":
                self.rounds.append(int(rest[0]))
            elif kind == "A":
                self.answers.append(Answer(int(rest[0]), int(rest[1]), rest[2], owners[rest[3]]))
            elif kind == "E":
                self.echoes.append(Echo(int(rest[0]), int(rest[1]), rest[2], rest[3]))
            elif kind == "G":
                self.announced.append(Answer(int(rest[0]), int(rest[0]), rest[1], owners[rest[2]]))
            elif kind == "L":
                self.late += 1

    def forget(self, before: int) -> None:
        """Drop older observations."""
        self.rounds = [each for each in self.rounds if each >= before]
        self.answers = [each for each in self.answers if each.asked >= before]
        self.echoes = [each for each in self.echoes if each.heard >= before]
        self.announced = [each for each in self.announced if each.heard >= before]

    def between(self, begin: int, end: int) -> "Records":
        """The observations from `begin` to `end`. An answer belongs to the time of its request."""
        low, high = bisect.bisect_left(self.rounds, begin), bisect.bisect_right(self.rounds, end)
        answers = _cut(self.answers, begin, end, "asked")
        return Records(self.rounds[low:high], answers, _cut(self.echoes, begin, end, "heard"), [], self.late)


def _cut(items: list, begin: int, end: int, key: str) -> list:  # type: ignore[type-arg]
    # They are in order of arrival, but for the size of the prober's ring.
    slack = 400 * MS
    low = bisect.bisect_left(items, begin - slack, key=lambda each: getattr(each, key))
    high = bisect.bisect_right(items, end + slack, key=lambda each: getattr(each, key))
    return [each for each in items[low:high] if begin <= getattr(each, key) <= end]


def spans(records: Records, vip: str) -> list[Span]:
    """The times in which each host is known to have held `vip`."""
    place = {asked: number for number, asked in enumerate(records.rounds)}
    found: list[Span] = []
    running: dict[str, tuple[int, int, int]] = {}  # per host: begin, last request and its round
    for answer in sorted((a for a in records.answers if a.vip == vip), key=lambda a: (a.asked, a.heard)):
        number = place.get(answer.asked)
        if number is None:
            continue
        before = running.get(answer.host)
        if before is not None and number <= before[2] + 1:
            running[answer.host] = (before[0], answer.asked, number)
            continue
        if before is not None:
            found.append(Span(answer.host, before[0], before[1]))
        running[answer.host] = (answer.heard, answer.asked, number)
    found += [Span(host, begin, last) for host, (begin, last, _) in running.items()]
    return sorted((s for s in found if s.end > s.begin), key=lambda s: s.begin)


def overlap_ns(held: Iterable[Span]) -> int:
    """The time for which two or more hosts are known to have held an address at once."""
    edges = sorted((time, step) for span in held for time, step in ((span.begin, 1), (span.end, -1)))
    total, holders, before = 0, 0, 0
    for time, step in edges:
        if holders > 1:
            total += time - before
        holders, before = holders + step, time
    return total


def answered_twice(records: Records, vip: str) -> list[int]:
    """The begin of each round in which two or more hosts answered for `vip`."""
    hosts: dict[int, set[str]] = {}
    for answer in records.answers:
        if answer.vip == vip:
            hosts.setdefault(answer.asked, set()).add(answer.host)
    return sorted(asked for asked, who in hosts.items() if len(who) > 1)


@dataclass(frozen=True)
class Gap:
    """The longest silence. If it is `open`, it lasted beyond the end of the watch."""

    begin: int
    end: int
    open: bool = False

    @property
    def ms(self) -> float:
        """The length of the silence in milliseconds."""
        return (self.end - self.begin) / MS


def longest_gap(heard: Iterable[int], begin: int, end: int) -> Gap:
    """The longest silence that touches the time from `begin` to `end`, measured from its own start.

    Silence before the very first answer counts from `begin`.
    """
    times = sorted(heard)
    low = bisect.bisect_right(times, begin)
    before = times[low - 1] if low else begin
    longest = Gap(before, before)
    for time in times[low:]:
        if before > end:
            break
        if time - before > longest.end - longest.begin:
            longest = Gap(before, time)
        before = time
    if end - before > longest.end - longest.begin:
        longest = Gap(before, end, open=True)
    return longest


def holders(records: Records, vip: str, begin: int, end: int) -> list[str]:
    """The hosts that answered for `vip` from `begin` to `end`, in the order of their first answers."""
    return list(dict.fromkeys(a.host for a in records.answers if a.vip == vip and begin <= a.asked <= end))


def steady_holder(records: Records, vip: str, begin: int, end: int) -> str | None:
    """The one host that answered every round of that time and returned every datagram; None if there is no such
    host."""
    part = records.between(begin, end)
    by_round = [each.asked for each in part.answers if each.vip == vip]
    hosts = {each.host for each in part.answers if each.vip == vip}
    served = {each.host for each in part.echoes if each.vip == vip}
    # The answers of the last two rounds may not have been written yet.
    if len(hosts) == 1 and hosts == served and len(set(by_round)) >= len(part.rounds) - 2 > 0:
        return hosts.pop()
    return None
