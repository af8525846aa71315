"""vip_beliefs: what nodes last stated of their beliefs about VIPs, the same statement once."""

from eccmgr.duravip import believed
from eccmgr.duravip.beliefs import Belief, pack
from eccmgr.duravip.believed import StatedBeliefs
from eccmgr.duravip.states import Agreement, Ownership
from tests.integration.scripts.cluster import Cluster

EAST = pack({"10.1.1.1": Belief(("b",), Ownership.OWNED, Agreement.SAFE, "east1")})
WEST = pack({"10.1.1.1": Belief(("b",), Ownership.OWNED, Agreement.SAFE, "west1")})


def state(cluster: Cluster, **said: bytes) -> None:
    cluster.redis.hset(cluster.keys.vip_beliefs, mapping=said)
    cluster.redis.pexpire(cluster.keys.vip_beliefs, 60_000)


def stated(cluster: Cluster, *nodes: str, most_bytes: int = 10_000) -> StatedBeliefs:
    return cluster.run(believed.beliefs(cluster.keys, nodes, most_bytes))


def test_equal_beliefs_are_answered_once(cluster: Cluster) -> None:
    state(cluster, a=b"7 #ec0-1-a#a " + EAST, b=b"8 #ec0-1-b#b " + EAST, c=b"7 #ec0-1-c#c " + WEST)
    answer = stated(cluster, "a", "b", "c", "d")
    assert answer.packed == (EAST, WEST)
    assert answer.by_node == ((b"#ec0-1-a#a", 1), (b"#ec0-1-b#b", 1), (b"#ec0-1-c#c", 2), (b"", 0))


def test_statement_that_is_none_is_not_read(cluster: Cluster) -> None:
    state(cluster, a=b"x", b=b"7 \xff\xfe " + EAST, c=b"7 #c#c " + b"\0" * 3_000_000, d=b"7 #d#d " + WEST)
    answer = stated(cluster, "a", "b", "c", "d")
    assert answer == StatedBeliefs((EAST, WEST), ((b"", -1), (b"\xff\xfe", 1), (b"", -1), (b"#d#d", 2)))
    cluster.redis.set(cluster.keys.vip_beliefs, "not ours", px=60_000)
    assert stated(cluster, "a").by_node == ((b"", -1),)


def test_answer_has_a_bound(cluster: Cluster) -> None:
    state(cluster, a=b"7 #a#a " + EAST, b=b"7 #b#b " + WEST, c=b"7 #c#c " + EAST)
    answer = stated(cluster, "a", "b", "c", most_bytes=len(EAST))
    assert answer == StatedBeliefs((EAST,), ((b"#a#a", 1), (b"", -1), (b"#c#c", 1)))
