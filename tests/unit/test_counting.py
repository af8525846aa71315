import pytest

from eccmgr.text.counting import counted


@pytest.mark.parametrize(
    ("number", "several", "said"), [(1, "", "1 node"), (0, "", "0 nodes"), (2, "", "2 nodes"), (2, "nodi", "2 nodi")]
)
def test_only_one_thing_is_said_in_singular(number: int, several: str, said: str) -> None:
    assert counted(number, "node", several) == said
