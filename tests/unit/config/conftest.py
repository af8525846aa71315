"""Fixtures of the tests of the configuration."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from eccmgr.config.live.store import Store
from tests.unit.config.console import Console, Opened, opened, own_sample


@pytest.fixture
def manager() -> Console:
    """A console on the sample of a manager's configuration."""
    return Console(Store.open(own_sample("eccluster.conf")))


@pytest.fixture
def node() -> Console:
    """A console on the sample of a node's configuration."""
    return Console(Store.open(own_sample("ecelerity-cluster.conf")))


@pytest.fixture
def console_on(tmp_path: Path) -> Opened:
    """A console on files of this test; the first one is the main file."""

    def make(files: Mapping[str, str | bytes]) -> Console:
        return opened(tmp_path, files)

    return make
