"""The agreement of nodes on a VIP, worked out from their statements."""

from eccmgr.duravip.shares import Share
from eccmgr.duravip.states import Agreement, assess, in_order
from tests.unit.duravip.situations import address

A, B = address(1), address(2)
SAME = Share(("mail",), "east1", None, "s")


def test_nodes_that_state_the_same_are_safe() -> None:
    standing = assess({"east1": {A: SAME}, "east2": {A: SAME}})[A]
    assert (standing.agreement, standing.preference, standing.reason) == (Agreement.SAFE, "east1", "")
    assert standing.nodes == ("east1", "east2")


def test_node_without_preference_disagrees_with_no_other() -> None:
    standing = assess({"a": {A: SAME}, "b": {A: SAME._replace(preference=None)}})[A]
    assert (standing.agreement, standing.preference) == (Agreement.SAFE, "east1")


def test_short_and_full_name_are_one_preference() -> None:
    standing = assess({"a": {A: SAME}, "b": {A: SAME._replace(preference="EAST1.example.com")}})[A]
    assert standing.agreement is Agreement.SAFE


def test_other_services_are_unsafe_and_managed() -> None:
    standing = assess({"a": {A: SAME}, "b": {A: SAME}, "c": {A: SAME._replace(services="t")}})[A]
    assert (standing.agreement, standing.managed, standing.preference) == (Agreement.UNSAFE, True, "east1")
    assert standing.reason == "its services differ: a,b / c"


def test_node_binding_without_a_name_is_only_unsafe() -> None:
    standing = assess({"a": {A: SAME}, "b": {A: SAME._replace(names=())}})[A]
    assert (standing.agreement, standing.names) == (Agreement.UNSAFE, ("mail",))


def test_other_preferences_conflict_and_none_counts() -> None:
    standing = assess({"n1": {A: SAME}, "n2": {A: SAME._replace(preference="east2")}})[A]
    assert (standing.agreement, standing.managed, standing.preference) == (Agreement.CONFLICT, True, None)
    assert standing.reason == "its preferences differ: east1 (n1), east2 (n2)"


def test_other_leaders_conflict_and_none_counts() -> None:
    stated = {"n1": {A: SAME, B: Share(follows=A)}, "n2": {A: SAME, B: Share()}}
    standing = assess(stated)[B]
    assert (standing.agreement, standing.follows) == (Agreement.CONFLICT, None)
    assert standing.reason == f"what it follows differs: {A} (n1), none (n2)"


def test_an_address_with_other_names_is_broken() -> None:
    standing = assess({"a": {A: SAME}, "b": {A: SAME._replace(names=("post",))}})[A]
    assert (standing.agreement, standing.managed) == (Agreement.BROKEN, False)
    assert standing.reason == "its names differ: mail (a), post (b)"


def test_name_with_two_addresses_breaks_only_those_two() -> None:
    third = Share(("other",))
    standings = assess({"a": {A: SAME, address(3): third}, "b": {B: SAME, address(3): third}})
    assert {each: standing.agreement for each, standing in standings.items()} == {
        A: Agreement.BROKEN, B: Agreement.BROKEN, address(3): Agreement.SAFE,
    }  # fmt: skip
    assert standings[A].reason == f"mail has several addresses: {A}, {B}"


def test_fault_is_gone_with_its_cause() -> None:
    stated = {"a": {A: SAME}, "b": {A: SAME._replace(names=("post",), preference="b", services="t")}}
    assert assess(stated)[A].agreement is Agreement.BROKEN
    del stated["b"]
    assert assess(stated)[A].agreement is Agreement.SAFE


def test_the_worst_of_several_states_is_told() -> None:
    worse = SAME._replace(preference="b", services="t")
    assert assess({"a": {A: SAME}, "b": {A: worse}})[A].agreement is Agreement.CONFLICT


def test_addresses_are_in_order_of_their_numbers() -> None:
    shares = dict.fromkeys(["2001:db8::1", "10.1.1.10", "10.1.1.9"], Share())
    assert list(assess({"a": shares})) == ["10.1.1.9", "10.1.1.10", "2001:db8::1"]
    assert sorted(shares, key=in_order) == list(assess({"a": shares}))
