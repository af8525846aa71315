"""A short draw of faults that strike the collection of logs; `make fault-logs` makes a long one."""

from pathlib import Path

import pytest

from tests.fault.logs.campaign import Campaign
from tests.fault.logs.sites import PAIR, TEN, LogSite


@pytest.mark.timeout(500)
@pytest.mark.parametrize(("site", "seed", "faults"), [(PAIR, "a", 10), (TEN, "d", 3)], ids=["pair", "ten"])
def test_faults_neither_lose_nor_repeat_a_line(folder: Path, site: LogSite, seed: str, faults: int) -> None:
    campaign = Campaign(site, folder, seed, faults)
    campaign.run()
    assert campaign.outcome.lines > 0
