"""The progress of a waiting gather: how many nodes are in each state, and for whom it still waits. Pure."""

import enum
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, islice

from eccmgr.cluster.calls.answers import OpenStanding
from eccmgr.cluster.results import State
from eccmgr.cluster.view import Seat
from eccmgr.cluster.waiting import Waiting

LEASES_READ = 20
"""The most silent nodes whose leases are read for one look."""
_JOBS_SHOWN = 20
# Nodes whose leases end within this time of each other are one group.
_TOGETHER_MS = 100
_PERCENT = re.compile(r"(\d{1,3}(?:\.\d+)?) ?%")


class OpenState(enum.StrEnum):
    """The state of a node that is not settled."""

    SILENT = "silent"
    """The command was sent to it, and it has neither begun nor answered."""
    RUNNING = "running"
    """It has begun."""
    PENDING = "pending"
    """The command was not released to it yet."""


@dataclass(frozen=True)
class OpenGroup:
    """Nodes in one state, and for how long the first of them has been in that state.

    `settles_in_s`, of silent nodes: the time after which they are lost, or may begin no longer, unless they are heard
    of; None if it was not read. `job` and `percent` belong to a node whose command has become a job.
    """

    state: OpenState
    nodes: tuple[str, ...]
    seconds: float
    settles_in_s: float | None = None
    job: str = ""
    percent: float | None = None


@dataclass(frozen=True)
class GatherProgress:
    """A gather at one moment. `counts` counts every node that the command was sent to, and the absent ones, by state.

    `told` nodes were sent the command, `untold` ones were not yet. `batch` is the number of the present batch and of
    all of them. The gather has waited for `waited_s`, and waits for `ends_in_s` more at the most (None: no limit).
    """

    counts: Mapping[State, int]
    told: int
    untold: int
    batch: tuple[int, int] | None
    waited_s: float
    ends_in_s: float | None
    open: tuple[OpenGroup, ...]


def leases_wanted(waiting: Waiting, running: Mapping[str, object]) -> list[str]:
    """The sessions of silent nodes whose ends should be read."""
    silent = (seat.private_name for seat in _silent(waiting, running))
    return list(islice(silent, LEASES_READ))


def gather_progress(waiting: Waiting, standing: OpenStanding, ends_in_s: float | None) -> GatherProgress:
    """The progress of `waiting`, given the standing of its open nodes."""
    groups = (*_running(waiting, standing), *_silent_groups(waiting, standing), *_pending(waiting, standing))
    count = {state: sum(len(group.nodes) for group in groups if group.state is state) for state in OpenState}
    still_open = {State.RUNNING: count[OpenState.RUNNING], State.PENDING: count[OpenState.SILENT]}
    counts = {state: number for state, number in (*waiting.counts.items(), *still_open.items()) if number}
    return GatherProgress(
        counts,
        sum(counts.values()) - counts.get(State.ABSENT, 0),
        count[OpenState.PENDING],
        waiting.batch,
        max(0, standing.clock_ms - waiting.sent.issued_ms) / 1000,
        ends_in_s,
        groups,
    )


def _silent(waiting: Waiting, running: Mapping[str, object]) -> Iterator[Seat]:
    for key, seat in waiting.open.items():
        if key not in running and waiting.may_begin_until(key) is not None:
            yield seat


def _running(waiting: Waiting, standing: OpenStanding) -> Iterator[OpenGroup]:
    plain: list[tuple[Seat, int]] = []
    jobs = 0
    for key, entry in standing.running.items():
        if (seat := waiting.open.get(key)) is None:
            continue
        if entry.job and jobs < _JOBS_SHOWN:
            jobs += 1
            percent = _PERCENT.match(entry.text)
            since_s = _seconds(waiting.sent.issued_ms, standing)
            yield OpenGroup(
                OpenState.RUNNING, (seat.name,), since_s, None, entry.job, float(percent[1]) if percent else None
            )
        else:
            plain.append((seat, entry.at_ms))
    if plain:
        since_ms = min(at_ms for _, at_ms in plain)
        yield OpenGroup(OpenState.RUNNING, tuple(seat.name for seat, _ in plain), _seconds(since_ms, standing))


def _silent_groups(waiting: Waiting, standing: OpenStanding) -> Iterator[OpenGroup]:
    bounded: list[tuple[int, Seat]] = []
    others: list[Seat] = []
    for seat in _silent(waiting, standing.running):
        lease_ms = standing.ends_ms.get(seat.private_name)
        if lease_ms is None:
            others.append(seat)
        else:
            bounded.append((min(lease_ms, waiting.may_begin_until(seat.key) or lease_ms), seat))
    for group in _close_together(bounded):
        last_ms = group[-1][0]
        seats = [seat for _, seat in group]
        yield _silent_group(waiting, standing, seats, max(0, last_ms - standing.clock_ms) / 1000)
    if others:
        yield _silent_group(waiting, standing, others, None)


def _silent_group(
    waiting: Waiting, standing: OpenStanding, seats: Sequence[Seat], settles_in_s: float | None
) -> OpenGroup:
    life_ms = waiting.sent.expires_ms - waiting.sent.issued_ms
    told_ms = min((waiting.may_begin_until(seat.key) or standing.clock_ms) - life_ms for seat in seats)
    names = tuple(seat.name for seat in seats)
    return OpenGroup(OpenState.SILENT, names, _seconds(told_ms, standing), settles_in_s)


def _close_together(bounded: Sequence[tuple[int, Seat]]) -> Iterator[Sequence[tuple[int, Seat]]]:
    """Group by the time of the end, the earliest first; the ends of one group lie close together."""
    first_ms = number = 0

    def group_of(item: tuple[int, Seat]) -> int:
        nonlocal first_ms, number
        if number == 0 or item[0] - first_ms > _TOGETHER_MS:
            first_ms, number = item[0], number + 1
        return number

    for _, group in groupby(sorted(bounded, key=lambda item: item[0]), group_of):
        yield list(group)


def _pending(waiting: Waiting, standing: OpenStanding) -> Iterator[OpenGroup]:
    seats = [seat.name for key, seat in waiting.open.items() if waiting.may_begin_until(key) is None]
    if seats:
        yield OpenGroup(OpenState.PENDING, tuple(seats), _seconds(waiting.sent.issued_ms, standing))


def _seconds(since_ms: int, standing: OpenStanding) -> float:
    return max(0, standing.clock_ms - since_ms) / 1000
