"""Compares the promises with the notes that the nodes' commands wrote themselves. Pure."""

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

TOLERANCE_S = 0.1
"""The longest time between two readings of the clock on a busy machine: the node's and its command's."""


@dataclass(frozen=True)
class Mark:
    """A line that a node wrote: it heard a command, ran it, or came to the end of it (done)."""

    what: str
    token: str
    node: str
    pid: int
    at: float

    @classmethod
    def parse(cls, line: str) -> "Mark":
        """Read one line."""
        what, token, node, pid, at = line.split()
        return cls(what, token, node, int(pid), float(at))


@dataclass(frozen=True)
class Sample:
    """The lease clock, in ms, as it was read between two moments. `born` tells one memory of the server from
    another."""

    asked: float
    answered: float
    born: str
    clock_ms: int


class LeaseClock:
    """The least time that has passed on the lease clock, from samples of it."""

    def __init__(self) -> None:
        self._samples: list[Sample] = []

    def add(self, sample: Sample) -> None:
        """Add a sample."""
        self._samples.append(sample)

    def passed_s(self, start: float, end: float) -> float:
        """The least number of seconds from `start` to `end` on the lease clock; 0 for the time when the server had lost
        its data."""
        within = [sample for sample in self._samples if sample.asked >= start and sample.answered <= end]
        steps = itertools.pairwise(within)
        return sum(b.clock_ms - a.clock_ms for a, b in steps if a.born == b.born) / 1000


@dataclass
class Sent:
    """A command that was sent, as far as the harness knows: its id, the time since which this is known, its expected
    nodes.

    `asked_at` is the time of the order, if the order's own answer reported the sending: it was not sent before that.
    """

    token: str
    id: str
    known_at: float
    expected: int | None = None
    asked_at: float = math.inf


@dataclass(frozen=True)
class Abort:
    """A withdrawal of a command: the time of its answer, and the state of each node in the answer."""

    answered_at: float
    states: Mapping[str, str]


@dataclass
class Ledger:
    """All observations of a run."""

    ttl_s: float
    clock: LeaseClock = field(default_factory=LeaseClock)
    marks: list[Mark] = field(default_factory=list)
    sent: dict[str, Sent] = field(default_factory=dict)
    """By token."""
    reports: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """By token: the reports on it, in order."""
    rolling: set[str] = field(default_factory=set)
    """By token: the commands in batches. Their nodes are told in turn, and each node's time begins then."""
    aborts: dict[str, Abort] = field(default_factory=dict)
    """By token: the first answer of an abort."""
    losses: list[float] = field(default_factory=list)
    """The times at which the server came back without some of its data."""
    patient: set[str] = field(default_factory=set)
    """By token: the commands that were sent while no fault lasted for a lease."""
    refused: dict[str, str] = field(default_factory=dict)
    """By token: the answer of a manager that said that the command was not sent."""

    def violations(self) -> list[str]:
        """The broken promises, one line for each."""
        ran = [mark for mark in self.marks if mark.what == "ran"]
        runners: dict[str, set[str]] = {}
        for mark in ran:
            runners.setdefault(mark.token, set()).add(mark.node)
        found = [*_twice(ran), *self._late(ran)]
        heard = {mark.token for mark in self.marks}
        found += [
            f"{each} was heard, and its sender told: {said}" for each, said in self.refused.items() if each in heard
        ]
        for token, reports in self.reports.items():
            found += self._of_reports(token, reports, runners.get(token, set()))
        found += self._withdrawn(ran)
        return found

    def forgotten(self, token: str) -> bool:
        """Whether the server came back after this command was sent, so that it may have lost parts of its record."""
        sent = self.sent[token]
        return any(loss > min(sent.asked_at, sent.known_at) for loss in self.losses)

    def _withdrawn(self, ran: Iterable[Mark]) -> Iterable[str]:
        for mark in ran:
            abort = self.aborts.get(mark.token)
            if abort is None or abort.states.get(mark.node) not in ("aborted", "missed", "skipped"):
                continue
            if mark.at > abort.answered_at + TOLERANCE_S and not self.forgotten(mark.token):
                since_s = mark.at - abort.answered_at
                yield f"{mark.token} ran on {mark.node} {since_s:.3f} s after its abort was answered"

    def forget_what_is_settled(self) -> None:
        """Keep only the runs: later rounds may still affect them."""
        self.reports.clear()
        self.refused.clear()
        self.aborts.clear()
        self.marks = [mark for mark in self.marks if mark.what == "ran"]

    def _late(self, ran: Iterable[Mark]) -> Iterable[str]:
        heard: dict[tuple[str, str, int], float] = {}
        for mark in self.marks:
            if mark.what == "heard":
                heard.setdefault((mark.token, mark.node, mark.pid), mark.at)
        for mark in ran:
            since = heard.get((mark.token, mark.node, mark.pid))
            if since is not None and mark.at > since + self.ttl_s + TOLERANCE_S:
                yield f"{mark.token} ran on {mark.node} {mark.at - since:.3f} s after it was heard there"
            sent = self.sent.get(mark.token)
            if sent is not None and since is not None and mark.token not in self.rolling:
                passed_s = self.clock.passed_s(sent.known_at, mark.at)
                if passed_s > self.ttl_s + TOLERANCE_S:
                    yield f"{mark.token} ran on {mark.node} {passed_s:.3f} s of the lease clock after it was sent"

    def _of_reports(self, token: str, reports: Sequence[dict[str, Any]], did: set[str]) -> Iterable[str]:
        done = {mark.node for mark in self.marks if mark.what == "done" and mark.token == token}
        listed = {tuple(node["node"] for node in report["nodes"]) for report in reports}
        if len(listed) > 1:
            yield f"{token} was reported with different nodes: {sorted(listed)}"
        sent = self.sent.get(token)
        for report in reports:
            nodes = {node["node"]: node["state"] for node in report["nodes"]}
            if sent is not None and sent.expected is not None and len(nodes) != sent.expected:
                yield f"{token} expected {sent.expected} nodes and was reported with {sorted(nodes)}"
            for node in did - nodes.keys():
                yield f"{token} ran on {node}, which is not in its report"
            for node, state in nodes.items():
                if state == "ok" and node not in did:
                    yield f"{token} is reported ok for {node}, which did not run it"
                if state == "failed":
                    yield f"{token} is reported failed for {node}, and cannot fail"
                if state == "lost" and token in self.patient:
                    yield f"{token} is reported lost for {node}, and all that happened was shorter than a lease"
                if sent is None or self.forgotten(token):
                    continue
                if state == "aborted" and node in done:
                    yield f"{token} is reported aborted for {node}, which came to the end of it"
                if state in ("skipped", "missed", "refused") and node in did:
                    yield f"{token} is reported {state} for {node}, which ran it"


def _twice(ran: Iterable[Mark]) -> Iterable[str]:
    for (token, node), times in Counter((mark.token, mark.node) for mark in ran).items():
        if times > 1:
            yield f"{token} ran {times} times on {node}"
