"""The crowd at a control listener: the number of connections for each peer, and the connection that is closed for a new
one."""

from dataclasses import dataclass, field

import pytest

from eccmgr.control.crowd import IDLE_S, KEPT_FOR_ROOT, Crowd
from eccmgr.control.holdings import Holdings, Stake
from eccmgr.control.limits import Limits
from eccmgr.control.peer import RemoteEnd

ANN, BOB, ROOT = (RemoteEnd(name, "", f"uid {uid}", uid == 0) for name, uid in (("ann", 7), ("bob", 8), ("root", 0)))


@dataclass(eq=False)
class Visitor:
    """A connection that was idle for some seconds."""

    remote: RemoteEnd
    idle: float = 0.0
    dropped: list["Visitor"] = field(default_factory=list)

    def idle_s(self) -> float:
        """The idle time that the test has set."""
        return self.idle

    def drop(self) -> None:
        """Note the end of this connection."""
        self.dropped.append(self)


def enter(crowd: Crowd[Visitor], limits: Limits, *visitors: Visitor) -> list[str]:
    return [crowd.enter(visitor, limits) for visitor in visitors]


def test_busy_peer_is_turned_away_beyond_its_number() -> None:
    crowd, limits = Crowd[Visitor](), Limits(max_connections_of_peer=2)
    assert enter(crowd, limits, *(Visitor(ANN) for _ in range(3))) == [
        "",
        "",
        "Too many connections: uid 7 has 2 of them, and none is idle; close some",
    ]
    assert enter(crowd, limits, Visitor(BOB)) == [""]


def test_idlest_of_a_peer_makes_room_for_it() -> None:
    crowd, limits = Crowd[Visitor](), Limits(max_connections_of_peer=3)
    idle, idlest, busy, others = Visitor(ANN, IDLE_S), Visitor(ANN, IDLE_S + 1), Visitor(ANN), Visitor(BOB, 60)
    assert enter(crowd, limits, idle, idlest, busy, others, Visitor(ANN)) == [""] * 5
    assert (idle.dropped, idlest.dropped, busy.dropped, others.dropped) == ([], [idlest], [], [])


def test_root_gets_in_where_others_filled_the_room() -> None:
    crowd, limits = Crowd[Visitor](), Limits(max_connections=KEPT_FOR_ROOT + 3)
    refusals = enter(crowd, limits, *(Visitor(RemoteEnd("", "", f"uid {uid}")) for uid in range(10, 14)))
    assert [bool(refusal) for refusal in refusals] == [False, False, False, True]
    assert enter(crowd, limits, *(Visitor(ROOT) for _ in range(KEPT_FOR_ROOT))) == [""] * KEPT_FOR_ROOT
    assert "19 are open" in enter(crowd, limits, Visitor(ROOT))[0]


def test_connections_turned_away_never_fill_the_room() -> None:
    crowd, limits = Crowd[Visitor](), Limits(max_connections=KEPT_FOR_ROOT + 10, max_connections_of_peer=1)
    visitors = [Visitor(ANN) for _ in range(100)]
    enter(crowd, limits, *visitors)
    assert len(crowd) == 10
    assert [bool(visitor.dropped) for visitor in visitors] == [False, *[True] * 90, *[False] * 9]
    assert enter(crowd, limits, Visitor(BOB)) == [""]


def test_a_leaving_connection_frees_its_place() -> None:
    crowd, limits = Crowd[Visitor](), Limits(max_connections_of_peer=1)
    first, second, third = (Visitor(ANN) for _ in range(3))
    enter(crowd, limits, first)
    crowd.turn_away(first)
    assert enter(crowd, limits, second) == [""]
    crowd.leave(first)
    crowd.leave(second)
    assert (enter(crowd, limits, third), len(crowd)) == ([""], 1)


def test_holdings_are_bounded_by_client_and_together() -> None:
    holdings = Holdings(100, 60)
    ann, bob = Stake(holdings, "ann"), Stake(holdings, "bob")
    ann.become(60)
    assert (ann.is_over, bob.is_over) == (False, False)
    ann.become(61)
    assert (ann.is_over, bob.is_over) == (True, False)
    bob.become(40)
    assert bob.is_over
    ann.become(0)
    assert (holdings.total, bob.is_over, ann.is_over) == (40, False, False)


@pytest.mark.asyncio
async def test_room_is_waited_for_and_refused_in_time() -> None:
    holdings = Holdings(100, 60)
    holdings.change("ann", 61)
    assert not await holdings.room("ann", 0.01)
    assert await holdings.room("bob", 0.01)
    holdings.change("ann", -1)
    assert await holdings.room("ann", 0.01)
