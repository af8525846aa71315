"""A short soak; `make soak` makes a long one, since growth shows only over many commands."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.soak.soak import Soak
from tests.soak.verdict import Sample, grown


@pytest.mark.asyncio
@pytest.mark.usefixtures("nothing_left", "no_tasks_left")
async def test_every_key_has_a_lifetime_after_each_command(folder: Path) -> None:
    soak = Soak(folder, commands=300, limit_s=60)
    await soak.run()
    assert soak.immortal == []
    assert soak.samples[-1].commands > 0


FLAT = [Sample(n, n, 100 << 20, 50 << 20, 10 << 20, 1000, 100) for n in range(40)]


def test_constant_or_warming_use_has_not_grown() -> None:
    assert grown(FLAT) == []
    assert grown([*(replace(s, manager=1 << 20, keys=1) for s in FLAT[:10]), *FLAT[10:]]) == []


@pytest.mark.parametrize("what", ["manager", "node", "redis", "keys", "descriptors"])
def test_what_goes_on_growing_is_found(what: str) -> None:
    growing = [replace(s, **{what: getattr(s, what) * (20 + s.commands) // 20}) for s in FLAT]
    (found,) = grown(growing)
    assert found.startswith(f"{what} grew from ")
