"""The latest runs of one text, one for each target; finds those that may have been sent to a certain node."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from eccmgr.cluster.view import Target, TargetKind, View
from eccmgr.errors import Unreadable
from eccmgr.redis.reading import Dropped, parsing, plain_name

_dropped = Dropped("run of a command")


@dataclass(frozen=True)
class LatestRun:
    """A command that was sent: its id, its target, and its time as the entry in the log."""

    entry: tuple[int, int]
    target: Target
    id: str

    @classmethod
    def parse(cls, raw: bytes) -> "LatestRun":
        """Read a run as the scripts keep it: its entry in the log, its id, its target. Raises Unreadable."""
        with parsing("The latest run of a command"):
            entry, made, target = raw.decode().split(" ")
            kind, _, name = target.partition(":")
            milliseconds, _, count = entry.partition("-")
            return cls((int(milliseconds), int(count)), Target.read(kind, name), plain_name(made))


@dataclass(frozen=True)
class LatestRuns:
    """The latest run for each target, newest first."""

    runs: tuple[LatestRun, ...]

    @classmethod
    def parse(cls, fields: Mapping[bytes, bytes]) -> "LatestRuns":
        """Read the hash `Keys.latest_of`; drops runs that cannot be read."""
        runs = []
        for run in fields.values():
            try:
                runs.append(LatestRun.parse(run))
            except Unreadable as error:
                _dropped.say(run, run, str(error))
        return cls(tuple(sorted(runs, key=lambda run: run.entry, reverse=True)))

    def that_may_concern(self, target: Target, view: View) -> Iterator[str]:
        """The ids of the runs that may have been sent to a node of `target`, newest first.

        A node may be missing in this view, or may have changed its subcluster since, so the view cannot exclude it.
        Only the report says which nodes a run was for.
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
