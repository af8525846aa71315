"""The calls with which a process becomes a member, stays a member, and leaves."""

import enum
import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from eccmgr.cluster.carrier import CarrierState, SessionRefusal, VipNews
from eccmgr.cluster.members import Identity, Role
from eccmgr.cluster.options import ClusterOptions, to_ms
from eccmgr.redis.keys import Keys
from eccmgr.redis.reading import exactly, flag, number, raw_text, whole
from eccmgr.redis.scripts import RawReply, ScriptCall, verdicts
from eccmgr.redis.wire import Argument

_LONGEST_STRETCH = 10_000.0
LATE_AFTER_BEATS = 1.2
"""A session that carries VIPs looks late this many heartbeat intervals after its last heartbeat."""


class LastBeat(NamedTuple):
    """A part of the answer to a session's last heartbeat, which the next heartbeat sends back. The default is for the
    first heartbeat."""

    view: int = 0
    leader: str = ""
    stretch: float = 1.0


@dataclass(frozen=True)
class Joined:
    """We are a member: the view in which we joined, the last entry of the log before that, and the stretch of the
    lease.

    `vips` is None for a session that carries none.
    """

    view: int
    clock_ms: int
    last_entry: str
    stretch: float
    vips: VipNews | None


@dataclass(frozen=True)
class NameTaken:
    """Another live session has the name: its private name, and the time that is left of it."""

    holder: str
    left_ms: int


class Renewed(NamedTuple):
    """The answer to a heartbeat that counted.

    `heads` are the latest entries of the requested channels, in order. `leader` is the leader's private name, ""
    without a leader; `leader_is_over` says that the leader's session has lapsed. `bus` is the number of the latest
    change of the bus files, b"" without a bus file. `vips` is None for a session that carries none.
    """

    view: int
    clock_ms: int
    heads: tuple[str, ...]
    leader: str
    leader_is_over: bool
    stretch: float
    vips: VipNews | None
    bus: bytes


@dataclass(frozen=True)
class Swept:
    """The view and the lease clock after the sweep, and the time until the next session lapses; None if there is no
    session."""

    view: int
    clock_ms: int
    lapses_in_ms: int | None


class LeaveVerdict(enum.StrEnum):
    """The result of leaving."""

    LEFT = "left"
    ENDED = "ended"
    """The session had ended already."""


class _RefusalVerdict(enum.StrEnum):
    ENDED = "ended"
    REJOIN = "rejoin"


_session_refusal = verdicts(_RefusalVerdict)


def membership_keys(keys: Keys) -> tuple[str, ...]:
    """The keys of every script that may end a session."""
    return (
        *(keys.state, keys.sessions, keys.members, keys.roster, keys.absent, keys.absent_since, keys.seniority),
        *(keys.subclusters, keys.events),
    )


def carrier_keys(keys: Keys) -> tuple[str, ...]:
    """The keys that tie VIPs to sessions."""
    return keys.vips, keys.vip_changes, keys.late


def join(
    keys: Keys,
    options: ClusterOptions,
    identity: Identity,
    private_name: str,
    *,
    rate: float,
    replaces: str = "",
    takes_over: bool = False,
    standing: CarrierState | None = None,
) -> ScriptCall[Joined | NameTaken | SessionRefusal]:
    """Become a member as `identity` under a fresh private name.

    `rate` is the number of heartbeats a second; 0 means a steady rate, however many members there are. `replaces` is a
    session of the caller's own that ends with this. With `takes_over` the name is taken from a live holder. With a
    `standing`, VIPs rest on the session.
    """
    carries: tuple[Argument, ...] = (1, standing.era) if standing else ("", 0)
    args = (
        *(to_ms(options.max_step_s), to_ms(options.session_lease_s), private_name),
        *(identity.name if identity.role is Role.NODE else "", identity.subcluster),
        *(identity.member(private_name).dump(), identity.role.value.lower(), replaces, int(takes_over)),
        *(*carries, _late_after_ms(options), keys.ended_prefix, f"{rate}", f"{options.heartbeats_borne_per_sec}"),
        options.audit_cap,
    )
    return ScriptCall("join", (*membership_keys(keys), *carrier_keys(keys), keys.audit), args, _joined)


def _joined(reply: RawReply) -> Joined | NameTaken | SessionRefusal:
    if reply[0] == b"joined":
        _, view, clock, last, vips, stretch = reply
        return Joined(whole(view), whole(clock), last.decode(errors="replace"), _stretch(stretch), _vip_news(vips))
    if reply[0] == b"taken":
        _, holder, left = reply
        return NameTaken(holder.decode(errors="replace"), whole(left))
    return _refusal(reply)


def renew(
    keys: Keys,
    options: ClusterOptions,
    private_name: str,
    channels: tuple[str, ...] = (),
    *,
    rate: float,
    last: LastBeat = LastBeat(),  # noqa: B008 - it is immutable
    standing: CarrierState | None = None,
    record: str = "",
) -> ScriptCall[Renewed | SessionRefusal]:
    """Send a heartbeat.

    It asks for the latest entries of `channels`, and writes `record` again if Redis has lost it. `join` explains the
    other arguments.
    """
    carries: tuple[Argument, ...] = (1, standing.era, standing.memory) if standing else ("", 0, "")
    args = (
        *(to_ms(options.max_step_s), to_ms(options.session_lease_s), private_name),
        *(f"{rate}", f"{options.heartbeats_borne_per_sec}", last.view, last.leader, f"{last.stretch}"),
        *(*carries, _late_after_ms(options), keys.ended_prefix, record, *channels),
    )
    names = (keys.state, keys.sessions, keys.seniority, keys.heads, keys.roster, *carrier_keys(keys))
    names = (*names, keys.members, keys.subclusters, keys.events)
    return ScriptCall("renew", names, args, functools.partial(_renewed, len(channels)))


def _renewed(channels: int, reply: RawReply) -> Renewed | SessionRefusal:
    if reply[0] != b"renewed":
        return _refusal(reply)
    _, view, clock, heads, leader, over, stretch, vips, bus = reply
    return Renewed(
        whole(view),
        whole(clock),
        tuple(head.decode(errors="replace") for head in exactly(channels, heads)),
        leader.decode(errors="replace"),
        flag(over),
        _stretch(stretch),
        _vip_news(vips),
        raw_text(bus),
    )


def _stretch(written: bytes) -> float:
    return number(float(written), 1.0, _LONGEST_STRETCH)


def _late_after_ms(options: ClusterOptions) -> int:
    return to_ms(LATE_AFTER_BEATS * options.heartbeat_s)


def _vip_news(reply: RawReply) -> VipNews | None:
    if not reply:
        return None
    era, memory, opened, change, late = reply
    sessions = tuple(name.decode(errors="replace") for name in late[::2])
    counters = map(whole, late[1::2])
    is_open = flag(opened)
    return VipNews(whole(era), memory.decode(), is_open, whole(change), tuple(zip(sessions, counters, strict=True)))


def _refusal(reply: RawReply) -> SessionRefusal:
    verdict, *era = reply
    refused = _session_refusal(verdict).value
    if not era:
        return SessionRefusal(refused)
    number, memory = era
    return SessionRefusal(refused, whole(number), memory.decode())


def leave(keys: Keys, options: ClusterOptions, private_name: str) -> ScriptCall[LeaveVerdict]:
    """End a session cleanly: from now on no command expects the member."""
    args = (to_ms(options.max_step_s), private_name, options.audit_cap)
    return ScriptCall("leave", (*membership_keys(keys), keys.audit), args, _left)


_left = verdicts(LeaveVerdict)


def resettle(
    keys: Keys, options: ClusterOptions, private_name: str, node: str, subcluster: str, record: str
) -> ScriptCall[int | None]:
    """Move a node to another subcluster within its session; answers the first view in which it is there.

    `record` is the member's record from then on. None if the session has ended.
    """
    return ScriptCall(
        "resettle",
        (keys.state, keys.sessions, keys.members, keys.roster, keys.subclusters, keys.events, keys.audit),
        (to_ms(options.max_step_s), private_name, node.lower(), subcluster, record, options.audit_cap),
        _resettled,
    )


def _resettled(reply: Sequence[bytes]) -> int | None:
    return whole(reply[1]) if reply[0] == b"moved" else None


def _shown(keys: Keys) -> tuple[str, ...]:
    """The keys that are only for showing."""
    return keys.vip_holds, keys.jobs, keys.vip_beliefs


def sweep(keys: Keys, options: ClusterOptions) -> ScriptCall[Swept]:
    """Sweep, as the leader: end lapsed sessions, forget old things."""
    return ScriptCall(
        "sweep",
        (*membership_keys(keys), keys.log, keys.latest, keys.audit, keys.heads, *carrier_keys(keys), *_shown(keys)),
        (
            *(to_ms(options.max_step_s), to_ms(options.absent_ttl_s), to_ms(options.results_ttl_s)),
            *(options.log_cap, keys.command_prefix, options.audit_cap),
        ),
        _swept,
    )


def _swept(reply: Sequence[bytes]) -> Swept:
    view, clock, left = reply
    return Swept(whole(view), whole(clock), None if left == b"-1" else whole(left))
