"""A participant's statement of its beliefs, packed for the others and unpacked."""

import zlib

import pytest

from eccmgr.duravip.beliefs import Belief, pack, unpack
from eccmgr.duravip.states import Agreement, Ownership
from eccmgr.errors import Unreadable


def test_beliefs_survive_being_told_to_others() -> None:
    beliefs = {
        "10.1.1.1": Belief(("duravip-1",), Ownership.OWNED, Agreement.SAFE, "east1"),
        "2001:db8::1": Belief((), Ownership.UNOWNED, Agreement.CONFLICT),
    }
    assert unpack(pack(beliefs)) == beliefs
    assert pack(beliefs) == pack(dict(reversed(beliefs.items())))
    assert beliefs["10.1.1.1"].state == "owned,safe"


def test_beliefs_of_many_vips_are_small() -> None:
    belief = Belief(("duravip",), Ownership.OWNED, Agreement.SAFE, "east1")
    beliefs = {f"10.1.{each >> 8}.{each & 255}": belief for each in range(10_240)}
    assert len(pack(beliefs)) < 200_000


@pytest.mark.parametrize(
    "data",
    [b"", b"x", zlib.compress(b"{"), zlib.compress(b'[["10.1.1.1"]]'), zlib.compress(b"[[1,[],2,3,4]]"),
     zlib.compress(b"[" * 100_000), zlib.compress(b"[]")[:-1]],
)  # fmt: skip
def test_beliefs_that_nobody_could_have_told_are_refused(data: bytes) -> None:
    with pytest.raises(Unreadable, match="cannot be read"):
        unpack(data)


def test_statement_larger_than_memory_is_not_unpacked() -> None:
    bomb = zlib.compress(b" " * (64 * 1024 * 1024))
    with pytest.raises(Unreadable, match="too long"):
        unpack(bomb)
