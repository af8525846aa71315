"""A short draw of faults on real hosts; `make fault-vip` makes a long one."""

import random
import secrets
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from tests.fault.lab.campaign import NODES, VIPS, Campaign, drawn
from tests.fault.lab.faults import Stop
from tests.fault.lab.hosts import Lab, made_or_skipped
from tests.fault.lab.nodes import FAST, Nodes
from tests.fault.lab.redis_faults import RedisKilled, Refused
from tests.fault.lab.redis_host import SERVER, LabRedis, steps_clocks_by
from tests.fault.lab.scene import Fault, Scene
from tests.fault.lab.watch import Watch
from tests.fault.vetoes import Veto

_SETTLE_S = 90.0
"""On a busy machine, programs take long to start."""


@pytest.fixture
def lab(folder: Path) -> Iterator[Lab]:
    with made_or_skipped(folder, (*NODES, SERVER, "client")) as made:
        yield made


@pytest.mark.timeout(600)
def test_faults_leave_each_address_with_one_host(lab: Lab) -> None:
    seed = secrets.token_hex(4)
    nodes = Nodes(lab, NODES, FAST, VIPS, LabRedis(lab))
    nodes.start()
    campaign = Campaign(nodes.name)
    said: list[str] = []
    with Watch(lab, VIPS, NODES) as watch:
        scene = Scene(lab, nodes, watch, random.Random(seed))
        # First some faults that involve every rule, then any fault.
        faults: tuple[Fault, ...] = (
            Stop("all", 2.0),
            RedisKilled(0.5, data=False, observe_s=1.0),
            Refused(Veto.READONLY, 0.2, observe_s=1.0),
            Refused(Veto.LOADING, 0.8, observe_s=1.0),
        )
        for fault in (*faults, *islice(drawn(random.Random(seed), steps_clocks=steps_clocks_by() is not None), 1)):
            campaign.play(scene, fault, said.append, _SETTLE_S)
    assert not campaign.broken(), f"seed {seed}: {said}"
