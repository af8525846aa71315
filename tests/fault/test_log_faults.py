"""A short draw of faults that strike the collection of logs; `make fault-logs` makes a long one."""

import secrets
from pathlib import Path

import pytest

from tests.fault.logs.campaign import Campaign


@pytest.mark.timeout(500)
@pytest.mark.parametrize("seed", ["1", pytest.param(None, id="random")])
def test_faults_neither_lose_nor_repeat_a_line(folder: Path, seed: str | None) -> None:
    campaign = Campaign(folder, seed or secrets.token_hex(4), faults=10)
    campaign.run()
    assert campaign.lines > 0
