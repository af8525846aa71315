"""The latest runs of one text, one for each target, and which of them may have been sent to a certain node."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import structlog

from eccmgr.cluster.view import Target, TargetKind, View

log = structlog.get_logger()


@dataclass(frozen=True)
class LatestRun:
    """A command that was sent: its id, its target, and its time as the entry in the log."""

    entry: tuple[int, int]
    target: Target
    id: str


@dataclass(frozen=True)
class LatestRuns:
    """The latest run for each target, the newest first."""

    runs: tuple[LatestRun, ...]

    @classmethod
    def parse(cls, fields: Mapping[bytes, bytes]) -> "LatestRuns":
        """Read the hash `Keys.latest_of`; drops runs that cannot be read."""
        found = []
        for run in fields.values():
            try:
                found.append(_run(run.decode()))
            except ValueError as error:
                log.warning("run dropped", run=run[:200], reason=f"it cannot be read: {error}")
        return cls(tuple(sorted(found, key=lambda run: run.entry, reverse=True)))

    def that_may_concern(self, target: Target, view: View) -> Iterator[str]:
        """The ids of the runs that may have been sent to a node of `target`, the newest first.

        This view cannot exclude a node that it does not hold, or that may have changed its subcluster since: only the
        report says which nodes were meant.
        """
        live, absent = view.expected(target)
        meant = {seat.key for seat in (*live, *absent)}
        known = {seat.key for seat in view}
        for run in self.runs:
            match run.target.kind:
                case TargetKind.ALL:
                    concerns = True
                case TargetKind.SUBCLUSTER:
                    concerns = target.kind is not TargetKind.SUBCLUSTER or _alike(run.target, target)
                case TargetKind.NODE:
                    concerns = _concerns(frozenset((run.target.name.lower(),)), meant, known)
                case TargetKind.SET:
                    concerns = _concerns(run.target.names, meant, known)
            if concerns:
                yield run.id


def _concerns(nodes: frozenset[str], meant: set[str], known: set[str]) -> bool:
    return not nodes.isdisjoint(meant) or not nodes <= known


def _alike(one: Target, other: Target) -> bool:
    return one.name.lower() == other.name.lower()


def _run(text: str) -> LatestRun:
    entry, made, target = text.split(" ")
    kind, _, name = target.partition(":")
    at, _, count = entry.partition("-")
    run = LatestRun((int(at), int(count)), Target(TargetKind(kind), name), made)
    _ = run.target.names  # a set that cannot be read raises here
    return run
