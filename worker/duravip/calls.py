"""The agent's calls as the scripts take them, and their answers as frozen values."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from eccmgr.errors import Unreadable
from eccmgr.redis.keys import Keys
from eccmgr.redis.reading import Dropped, address, line, parsing, whole
from eccmgr.redis.wire import Argument
from worker.duravip.model.actions import Acquire, Call, End, Open, Read, Release, State, TakeOver
from worker.duravip.model.records import Answer, Beaten, Era, Granted, Late, Page, Record, Stated, Verdict

PAGE = 500
"""Entries in one answer, so that none holds Redis up for long."""


_SAID = ("@", "~", "!")
_OF_VIPS = "What Redis keeps of VIPs"
_dropped = Dropped("record of VIPs")


@dataclass(frozen=True)
class Request:
    """One call of a script."""

    script: str
    keys: tuple[str, ...]
    args: tuple[Argument, ...]


def vip_keys(keys: Keys) -> tuple[str, ...]:
    """The keys of the scripts about VIPs."""
    return (keys.state, keys.vips, keys.vip_changes, keys.late, keys.vip_events)


def audited_keys(keys: Keys) -> tuple[str, ...]:
    """The keys of the scripts that change the owners of VIPs."""
    return (*vip_keys(keys), keys.audit)


def membership_keys(keys: Keys) -> tuple[str, ...]:
    """The keys of the scripts that end a session."""
    return (
        *(keys.state, keys.sessions, keys.members, keys.roster, keys.absent, keys.absent_since, keys.seniority),
        *(keys.subclusters, keys.events, keys.vips, keys.vip_changes, keys.late, keys.vip_events),
        keys.audit,
    )


def end_args(
    keys: Keys, max_step_ms: int, audit_cap: int, session: str, era: int, reason: str = "lost"
) -> tuple[Argument, ...]:
    """The arguments of the script that ends `session`."""
    return (max_step_ms, keys.ended_prefix, session, era, reason, audit_cap)


def request(call: Call, keys: Keys, node: str, max_step_ms: int, audit_cap: int) -> Request:
    """`call` as its script takes it; a heartbeat is not one of them, for it is the session's own."""
    caller: tuple[Argument, ...] = (keys.ended_prefix, call.session, call.era.number, call.era.memory)
    match call:
        case State():
            return Request("vip_state", audited_keys(keys), (*caller, audit_cap, *_flat(call.holdings)))
        case Open():
            return Request("vip_open", vip_keys(keys), caller)
        case Acquire():
            wishes = [(w.address, w.seen, w.reason, int(w.force)) for w in call.wishes]
            return Request("vip_acquire", audited_keys(keys), (*caller, node.lower(), audit_cap, *_flat(wishes)))
        case Release():
            gifts = [(g.address, g.epoch, g.to, g.reason) for g in call.gifts]
            return Request("vip_release", audited_keys(keys), (*caller, audit_cap, *_flat(gifts)))
        case Read():
            return Request("vip_read", vip_keys(keys), (*caller, call.since, PAGE))
        case TakeOver():
            args = (max_step_ms, *caller, call.watched, call.counter, audit_cap)
            return Request("vip_takeover", membership_keys(keys), args)
        case End():
            return Request(
                "vip_end",
                membership_keys(keys),
                end_args(keys, max_step_ms, audit_cap, call.session, call.era.number),
            )
        case _:
            raise TypeError(f"no script for {call!r}")


def answer(call: Call, raw: Sequence[Any], acked: bool) -> Answer:
    """What the script of `call` answered. Raises Unreadable."""
    with parsing(_OF_VIPS):
        return _answer(call, raw, acked)


def _answer(call: Call, raw: Sequence[Any], acked: bool) -> Answer:
    verdict, era = Verdict(raw[0].decode()), Era(whole(raw[1]), raw[2].decode())
    if verdict is not Verdict.OK:
        return _EMPTY[type(call)](verdict, era, acked) if type(call) in _EMPTY else Answer(verdict, era, acked)
    match call:
        case State():
            return Stated(verdict, era, acked, tuple(bool(int(each)) for each in raw[3]))
        case Acquire():
            return Granted(verdict, era, acked, tuple(int(each) for each in raw[3]))
        case Read():
            return Page(verdict, era, acked, whole(raw[3]), bool(int(raw[4])), *_entries(raw[5]))
        case _:
            return Answer(verdict, era, acked)


_EMPTY: dict[type[Call], Callable[..., Answer]] = {State: Stated, Acquire: Granted, Read: Page}


def _entries(flat: Sequence[bytes]) -> tuple[tuple[tuple[str, Record], ...], tuple[tuple[str, str], ...]]:
    """The VIPs by address, and what is said of nodes; what cannot be read is dropped."""
    records, said = [], []
    for raw_name, raw in zip(flat[::2], flat[1::2], strict=True):
        try:
            name, text = line(raw_name.decode()), raw.decode()
            if name[:1] in _SAID:
                said.append((name, text))
            else:
                records.append((address(name), Record.parse(text)))
        except (ValueError, Unreadable) as error:
            _dropped.say(raw_name, raw, str(error))
    return tuple(records), tuple(said)


def refused(raw: Sequence[Any], acked: bool) -> Beaten:
    """A heartbeat or a join that did not count. Raises Unreadable."""
    with parsing(_OF_VIPS):
        return Beaten(Verdict(raw[0].decode()), Era(whole(raw[1]), raw[2].decode()), acked)


def beaten(raw: Sequence[Any], acked: bool) -> Beaten:
    """What a heartbeat or a join that counted is told of VIPs. Raises Unreadable."""
    with parsing(_OF_VIPS):
        number, memory, opened, change, late = raw
        found = tuple(Late(late[i].decode(errors="replace"), whole(late[i + 1])) for i in range(0, len(late), 2))
        era = Era(whole(number), memory.decode())
        return Beaten(Verdict.OK, era, acked, bool(int(opened)), whole(change), found)


def _flat(rows: Sequence[tuple[Argument, ...]]) -> tuple[Argument, ...]:
    return tuple(each for row in rows for each in row)
