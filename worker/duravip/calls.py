"""The calls of the scripts about VIPs, with one typed function for each script, and the news of a heartbeat in the
agent's form."""

from collections.abc import Sequence
from functools import partial

from eccmgr.cluster.calls.membership import carrier_keys, membership_keys
from eccmgr.cluster.carrier import SessionRefusal, VipNews
from eccmgr.cluster.options import ClusterOptions, to_ms
from eccmgr.duravip.records import Beaten, Era, Granted, Late, Page, SessionAnswer, Stated, Verdict, VipRecord
from eccmgr.errors import Unreadable
from eccmgr.redis.keys import Keys
from eccmgr.redis.reading import Dropped, address, exactly, flag, line, whole
from eccmgr.redis.scripts import RawReply, ScriptCall
from eccmgr.redis.wire import Argument
from worker.duravip.model.actions import Acquire, EndCarrying, OpenEra, Read, RedisCall, Release, StateHeld, TakeOver

PAGE = 500
"""The maximum number of entries in one answer: no call may hold Redis up for long."""

_SAID = ("@", "~", "!")
_dropped = Dropped("record of VIPs")


def vip_keys(keys: Keys) -> tuple[str, ...]:
    """The keys of the scripts about VIPs."""
    return (keys.state, *carrier_keys(keys), keys.vip_events)


def audited_keys(keys: Keys) -> tuple[str, ...]:
    """The keys of the scripts that change the owners of VIPs."""
    return (*vip_keys(keys), keys.audit)


def granting_keys(keys: Keys) -> tuple[str, ...]:
    """The keys of the scripts that give a VIP to a session."""
    return (*audited_keys(keys), keys.vip_holds)


def ending_keys(keys: Keys) -> tuple[str, ...]:
    """The keys of the scripts that end a session that carries VIPs."""
    return (*membership_keys(keys), *carrier_keys(keys), keys.vip_events, keys.audit)


def call_of(asked: RedisCall, keys: Keys, options: ClusterOptions, node: str) -> ScriptCall[SessionAnswer]:
    """The script call for a decision of the agent of `node`.

    Heartbeats are not among these decisions: the session sends them.
    """
    match asked:
        case StateHeld():
            return state(asked, keys, options)
        case OpenEra():
            return open_era(asked, keys)
        case Acquire():
            return acquire(asked, keys, options, node)
        case Release():
            return release(asked, keys, options)
        case Read():
            return read(asked, keys)
        case TakeOver():
            return take_over(asked, keys, options)
        case EndCarrying():
            return end(keys, options, asked.session, asked.era.number)
        case _:
            raise TypeError(f"no script for {asked!r}")


def state(asked: StateHeld, keys: Keys, options: ClusterOptions) -> ScriptCall[Stated]:
    """State the VIPs that the session holds, to a server that lost its memory."""
    args = (*_caller(asked, keys), options.audit_cap, *_flat(asked.holdings))
    return ScriptCall("vip_state", granting_keys(keys), args, partial(_stated, len(asked.holdings)))


def open_era(asked: OpenEra, keys: Keys) -> ScriptCall[SessionAnswer]:
    """Open the era that was watched."""
    return ScriptCall("vip_open", vip_keys(keys), _caller(asked, keys), _answer)


def acquire(asked: Acquire, keys: Keys, options: ClusterOptions, node: str) -> ScriptCall[Granted]:
    """Ask for VIPs."""
    wishes = [(w.address, w.seen, w.reason, int(w.force)) for w in asked.wishes]
    args = (*_caller(asked, keys), node.lower(), options.audit_cap, *_flat(wishes))
    return ScriptCall("vip_acquire", granting_keys(keys), args, partial(_granted, len(wishes)))


def release(asked: Release, keys: Keys, options: ClusterOptions) -> ScriptCall[SessionAnswer]:
    """Release VIPs."""
    gifts = [(g.address, g.epoch, g.to, g.reason) for g in asked.gifts]
    args = (*_caller(asked, keys), options.audit_cap, *_flat(gifts))
    return ScriptCall("vip_release", audited_keys(keys), args, _answer)


def read(asked: Read, keys: Keys) -> ScriptCall[Page]:
    """Read a page of the changes."""
    return ScriptCall("vip_read", vip_keys(keys), (*_caller(asked, keys), asked.since, PAGE), _page)


def take_over(asked: TakeOver, keys: Keys, options: ClusterOptions) -> ScriptCall[SessionAnswer]:
    """Take over a session that has not renewed while we watched it."""
    step_ms = to_ms(options.max_step_s)
    args = (step_ms, *_caller(asked, keys), asked.watched, asked.counter, options.audit_cap)
    return ScriptCall("vip_takeover", ending_keys(keys), args, _answer)


def end(keys: Keys, options: ClusterOptions, session: str, era: int, reason: str = "lost") -> ScriptCall[SessionAnswer]:
    """End a session for ever. The `reason` is `lost` or `leave`."""
    args = (to_ms(options.max_step_s), keys.ended_prefix, session, era, reason, options.audit_cap)
    return ScriptCall("vip_end", ending_keys(keys), args, _answer)


def say(keys: Keys, era: Era, name: str, text: str) -> ScriptCall[int]:
    """Make a statement about a node known to all agents (see `Page`); answers the number of that change."""
    return ScriptCall("vip_say", vip_keys(keys), (era.number, name, text), whole)


def _caller(asked: RedisCall, keys: Keys) -> tuple[Argument, ...]:
    return (keys.ended_prefix, asked.session, asked.era.number, asked.era.memory)


def _flat(rows: Sequence[tuple[Argument, ...]]) -> tuple[Argument, ...]:
    return tuple(word for row in rows for word in row)


def _answer(reply: RawReply) -> SessionAnswer:
    return SessionAnswer(*_verdict(reply))


def _stated(holdings: int, reply: RawReply) -> Stated:
    verdict, era = _verdict(reply)
    return Stated(verdict, era, kept=tuple(map(flag, exactly(holdings, reply[3]))) if verdict is Verdict.OK else ())


def _granted(wishes: int, reply: RawReply) -> Granted:
    verdict, era = _verdict(reply)
    return Granted(verdict, era, epochs=tuple(map(whole, exactly(wishes, reply[3]))) if verdict is Verdict.OK else ())


def _page(reply: RawReply) -> Page:
    verdict, era = _verdict(reply)
    if verdict is not Verdict.OK:
        return Page(verdict, era)
    records, said = _entries(reply[5])
    return Page(verdict, era, upto=whole(reply[3]), more=flag(reply[4]), records=records, said=said)


def _verdict(reply: RawReply) -> tuple[Verdict, Era]:
    return Verdict(reply[0].decode()), Era(whole(reply[1]), reply[2].decode())


def _entries(flat: Sequence[bytes]) -> tuple[tuple[tuple[str, VipRecord], ...], tuple[tuple[str, str], ...]]:
    """The VIPs by address, and the statements about nodes; drops records that cannot be read."""
    records, said = [], []
    for raw_name, raw in zip(flat[::2], flat[1::2], strict=True):
        try:
            name, text = line(raw_name.decode()), raw.decode()
            if name[:1] in _SAID:
                said.append((name, text))
            else:
                records.append((address(name), VipRecord.parse(text)))
        except (ValueError, Unreadable) as error:
            _dropped.say(raw_name, raw, str(error))
    return tuple(records), tuple(said)


def refused(refusal: SessionRefusal, acked: bool) -> Beaten:
    """A heartbeat or a join that did not count."""
    return Beaten(Verdict(refusal.verdict), Era(refusal.era, refusal.memory), acked)


def beaten(news: VipNews, acked: bool) -> Beaten:
    """A heartbeat or a join that counted, with its news about VIPs."""
    late = tuple(Late(session, counter) for session, counter in news.late)
    return Beaten(Verdict.OK, Era(news.era, news.memory), acked, news.opened, news.change, late)
