"""Puts an agent's actions into words for the log."""

from collections.abc import Iterable

from worker.duravip.model import actions as act

# A line names only the first VIPs: a thousand VIPs may change their node at once.
_NAMED = 10


def told(action: act.Action, now: float) -> str:
    """One line that describes `action`, decided at `now` (CLOCK_BOOTTIME, in seconds)."""
    match action:
        case act.RedisCall():
            return _to_redis(action)
        case act.Extend():
            return f"the guardian may hold its VIPs for {action.at - now:.2f} s"
        case act.TellPlumb():
            return f"plumb {_epochs(action.addresses)}, within {action.at - now:.2f} s"
        case act.TellUnplumb():
            return f"unplumb {_epochs(action.addresses)}"
        case act.ReplaceGuardian():
            return "start another guardian: this one confirms nothing"


def _to_redis(call: act.RedisCall) -> str:
    match call:
        case act.Beat():
            return f"{'begin' if call.joins else 'renew'} session {call.session}"
        case act.StateHeld():
            return f"state to Redis the VIPs held here: {_epochs(call.holdings)}"
        case act.OpenEra():
            return f"open era {call.era.number}: every holder has stated its VIPs"
        case act.TakeOver():
            return f"end session {call.watched}, which has not renewed since counter {call.counter}"
        case act.Acquire():
            return f"ask for {_listed(map(_wished, call.wishes))}"
        case act.Release():
            return f"give up {_listed(map(_given, call.gifts))}"
        case act.Read():
            return f"read the changes after change {call.since}"
        case act.EndCarrying():
            return f"end session {call.session}: nothing is plumbed under it"
    return f"call Redis: {type(call).__name__}"


def _epochs(addresses: Iterable[tuple[str, int]]) -> str:
    return _listed(f"{address} (epoch {epoch})" for address, epoch in addresses)


def _wished(wish: act.Wish) -> str:
    reason = f": {wish.reason}" if wish.reason else ""
    return f"{wish.address} (above epoch {wish.seen}{', even if it is reserved' if wish.force else ''}{reason})"


def _given(gift: act.Gift) -> str:
    to = f" for {gift.to}" if gift.to else ""
    return f"{gift.address}{to} (epoch {gift.epoch}{f': {gift.reason}' if gift.reason else ''})"


def _listed(parts: Iterable[str]) -> str:
    texts = list(parts)
    more = f", and {len(texts) - _NAMED} more" if len(texts) > _NAMED else ""
    return ", ".join(texts[:_NAMED]) + more or "nothing"
