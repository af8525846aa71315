"""What a manager makes of the beliefs that nodes have stated about one VIP."""

import pytest

from eccmgr.duravip.beliefs import Belief, belief_about, inflate, pack
from eccmgr.duravip.believed import Accord, accord
from eccmgr.duravip.states import Agreement, Ownership
from eccmgr.errors import Unreadable

VIP = "10.1.1.1"
OWNED, MOVING, UNOWNED = Ownership.OWNED, Ownership.MOVING, Ownership.UNOWNED


def belief(ownership: Ownership, owner: str | None, agreement: Agreement = Agreement.SAFE) -> Belief:
    return Belief(("b",), ownership, agreement, owner)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (belief(OWNED, "east1"), Accord.SAME),
        (belief(OWNED, "west1"), Accord.DIFFERS),
        (belief(MOVING, "east1"), Accord.DIFFERS),
        (belief(UNOWNED, None), Accord.DIFFERS),
        (belief(OWNED, "east1", Agreement.UNSAFE), Accord.DIFFERS),
        (Accord.UNSAID, Accord.UNSAID),
    ],
)
def test_node_differs_where_the_record_does(said: Belief | Accord, expected: Accord) -> None:
    assert accord(said, "east1", None, OWNED, Agreement.SAFE) is expected


def test_vip_that_waits_for_its_target_is_nobodys() -> None:
    for said in (belief(MOVING, "East1"), belief(UNOWNED, None)):
        assert accord(said, None, "east1", MOVING, Agreement.SAFE) is Accord.SAME
    assert accord(belief(OWNED, "west1"), None, "east1", MOVING, Agreement.SAFE) is Accord.DIFFERS


def test_one_vip_is_found_among_thousands() -> None:
    beliefs = {f"10.1.{number >> 8}.{number & 255}": belief(OWNED, f"a{number}") for number in range(5000)}
    text = inflate(pack(beliefs))
    assert belief_about("10.1.4.7", text) == beliefs["10.1.4.7"]
    assert belief_about("10.9.9.9", text) is None


@pytest.mark.parametrize("owner", ["<b>", "a\nb", "x" * 200, ""])
def test_owner_without_a_name_is_unreadable(owner: str) -> None:
    with pytest.raises(Unreadable, match="is not a name"):
        belief_about(VIP, inflate(pack({VIP: belief(OWNED, owner)})))
