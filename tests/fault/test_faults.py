"""A short draw of faults; `make fault` makes a long one."""

import secrets
from pathlib import Path

import pytest

from tests.fault.battle import Battle

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("nothing_left", "no_tasks_left")]


@pytest.mark.timeout(400)
@pytest.mark.parametrize("seed", ["1", pytest.param(None, id="random")])
async def test_faults_make_nothing_run_twice_or_late(folder: Path, seed: str | None) -> None:
    battle = Battle(folder, seed or secrets.token_hex(4), faults=20)
    await battle.run()
    assert battle.summary.startswith("20 faults, ")
