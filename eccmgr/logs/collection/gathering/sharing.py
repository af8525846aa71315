"""Which manager collects the logs of which nodes. Pure."""

import math
from collections import Counter
from collections.abc import Collection, Mapping
from typing import NamedTuple

from eccmgr.logs.collection.news import Wishes


class LogShare(NamedTuple):
    """The logs of one node, for one subscriber: one manager collects them."""

    subscriber: str
    node: str


class Decision(NamedTuple):
    """What a manager takes, and what it gives back."""

    take: tuple[LogShare, ...]
    give_back: tuple[LogShare, ...]


def decide(me: str, managers: Mapping[str, Wishes], holders: Mapping[LogShare, str | None]) -> Decision:
    """What the manager with the private name `me` does next. Others decide alike, from the same facts.

    `managers` are those that live, by their private names; `holders` has each share, with the manager that holds it
    (None if no living one does). A manager holds no more than a fair part of each subscriber's nodes while others lack
    some. It gives back one share at a time.
    """
    take: list[LogShare] = []
    give_back: list[LogShare] = []
    by_subscriber: dict[str, list[LogShare]] = {}
    for share in holders:
        by_subscriber.setdefault(share.subscriber, []).append(share)
    for shares in by_subscriber.values():
        _decide_one(me, managers, holders, sorted(shares), take, give_back)
    mine = [share for share, holder in holders.items() if holder == me]
    unwanted = [share for share in mine if me not in wanting(share, managers)]
    return Decision(tuple(take), tuple(dict.fromkeys((*unwanted, *give_back))))


def _decide_one(
    me: str,
    managers: Mapping[str, Wishes],
    holders: Mapping[LogShare, str | None],
    shares: list[LogShare],
    take: list[LogShare],
    give_back: list[LogShare],
) -> None:
    wanted = {share: wanting(share, managers) for share in shares}
    fair = math.ceil(sum(1 / len(each) for each in wanted.values() if me in each))
    held = Counter(holder for share in shares if (holder := holders[share]) is not None)
    for share in shares:
        if holders[share] is None and me in wanted[share] and (held[me] < fair or wanted[share] == {me}):
            take.append(share)
            held[me] += 1
    least = {share: min(held[other] for other in each) for share, each in wanted.items() if each}
    # Who has too many gives one back to a manager that has fewer by two: after that both have their part.
    for share in reversed(shares):
        if holders[share] == me and me in wanted[share] and held[me] - least[share] >= 2:
            give_back.append(share)
            return


def wanting(share: LogShare, managers: Mapping[str, Wishes]) -> Collection[str]:
    """The managers that would collect a share."""
    return {name for name, wishes in managers.items() if share.subscriber in wishes.for_node(share.node)}
