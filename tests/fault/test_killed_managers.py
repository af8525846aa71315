"""A short draw of killed managers; `python -m tests.fault.killed_managers` plays fifty."""

import secrets
from pathlib import Path

import pytest

from eccmgr.redis.embedded import EmbeddedServer
from tests.daemons import Processes
from tests.fault.killed_managers import Kills

pytestmark = pytest.mark.usefixtures("nothing_left")


@pytest.mark.timeout(400)
def test_account_is_true_after_its_manager_died(folder: Path) -> None:
    with EmbeddedServer(folder / "redis") as server:
        processes = Processes(server.url, "lab", folder)
        try:
            kills = Kills(processes, secrets.token_hex(4))
            for _ in range(4):
                kills.play()
        finally:
            processes.end()
    assert kills.played == 4
